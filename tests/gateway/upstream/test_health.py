"""What counts against an endpoint, when it is left alone, and what is told of it."""

import pytest

from gateway.errors import (
    ClientDisconnected,
    GatewayError,
    InvalidRequest,
    StoreUnavailable,
    TierSaturated,
    UpstreamAnswered,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.upstream.health import PROBE_WAIT_SECONDS, REST_SECONDS_MAX, Health, is_failure
from tests.doubles.clock import ManualClock
from tiers.tiermap import Breaker

SETTINGS = Breaker(failures=2, open=5, open_max=20)
DOWN = UpstreamUnreachable("No connection to a:1 could be made.")
FULL = UpstreamAnswered("full", status=429, retry_after_seconds=7)


class Patient:
    """An endpoint's health on a clock of its own; ``told`` is what was reported."""

    def __init__(self, *, probed: bool = True) -> None:
        self.clock = ManualClock()
        self.told: list[tuple[str, dict[str, object]]] = []
        self.health = Health(
            tier="routing",
            endpoint="routing/0",
            settings=SETTINGS,
            clock=self.clock,
            report=lambda event, /, **keys: self.told.append((event, keys)),
            probed=probed,
        )

    def fall(self) -> Health:
        """Fail until it is left alone."""
        for _ in range(SETTINGS.failures):
            self.health.hear(DOWN)
        assert not self.health.well
        return self.health


@pytest.mark.parametrize(
    "error",
    [
        UpstreamUnreachable("refused"),
        UpstreamTimeout("no headers, or no first token"),
        UpstreamFailed("reset, a broken stream, or 200 and no answer"),
        UpstreamAnswered("broken", status=500),
        UpstreamAnswered("no worker", status=503),
    ],
)
def test_what_the_endpoint_cannot_do_is_a_failure(error: GatewayError) -> None:
    assert is_failure(error)


@pytest.mark.parametrize(
    "error",
    [
        UpstreamRefused("key, or model"),
        UpstreamAnswered("full", status=429),
        ClientDisconnected("gone"),
        InvalidRequest("of the caller's"),
        TierSaturated("of the gateway's"),
        StoreUnavailable("of the gateway's"),
    ],
)
def test_what_is_not_its_fault_is_none(error: GatewayError) -> None:
    """However often."""
    patient = Patient()
    assert not is_failure(error)
    for _ in range(5):
        patient.health.hear(error)
    assert patient.health.well
    assert not patient.health.marked
    assert patient.told == []


def test_it_is_told_why_an_endpoint_is_left_alone_and_that_it_is_back() -> None:
    """Once each, with the last error; not each time that it is still not well."""
    patient = Patient()
    health = patient.fall()
    where = {"tier": "routing", "endpoint": "routing/0"}
    assert patient.told == [
        (
            "endpoint.opened",
            {
                **where,
                "reason": "failures",
                "seconds": 5.0,
                "error": "upstream_unreachable",
                "message": "No connection to a:1 could be made.",
            },
        )
    ]
    for seconds, good in ((5, False), (10, False), (20, True)):
        patient.clock.advance(seconds)
        assert health.begin_probe()
        health.probe_ended(good=good)
    assert patient.told[1:] == [("endpoint.closed", {**where, "seconds": 35.0})]
    assert health.well
    assert health.openings == {"failures": 1, "failure_ratio": 0, "slow": 0}
    assert health.probes == {"good": 1, "bad": 2}


def test_an_outlier_is_left_alone_and_comes_back_as_any() -> None:
    patient = Patient()
    patient.health.eject("slow")
    [(event, keys)] = patient.told
    assert (event, keys["reason"], keys["seconds"]) == ("endpoint.ejected", "slow", 5.0)
    assert patient.health.openings["slow"] == 1
    patient.clock.advance(5)
    assert patient.health.begin_probe()


def test_only_one_probe_is_made_at_a_time() -> None:
    """And a lost one is made again in the end."""
    patient = Patient()
    health = patient.fall()
    assert not health.begin_probe()
    patient.clock.advance(5)
    assert health.begin_probe()
    assert not health.begin_probe()
    assert not health.begin_trial(), "nor is a request let through"
    patient.clock.advance(PROBE_WAIT_SECONDS)
    assert health.begin_probe()


def test_what_requests_try_is_not_probed() -> None:
    patient = Patient(probed=False)
    patient.fall()
    patient.clock.advance(5)
    assert not patient.health.begin_probe()


def test_late_news_of_requests_does_not_interfere_with_a_probe() -> None:
    """They were sent before the endpoint was left alone."""
    patient = Patient()
    health = patient.fall()
    patient.clock.advance(5)
    health.begin_probe()
    for error in (DOWN, None, FULL):
        health.hear(error)
        assert health.state == "half-open"
    health.probe_ended(good=True)
    assert health.state == "closed"


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (None, "closed"),
        (DOWN, "open"),
        (UpstreamRefused("no"), "closed"),
        (FULL, "closed"),
        (ClientDisconnected("gone"), "half-open"),
    ],
)
def test_the_result_of_a_request_that_was_the_trial_decides(error: GatewayError | None, state: str) -> None:
    """An endpoint that refuses is well. A client that left tells nothing."""
    patient = Patient(probed=False)
    health = patient.fall()
    assert not health.begin_trial()
    patient.clock.advance(5)
    assert health.begin_trial()
    assert not health.begin_trial()
    health.hear(error)
    assert health.state == state


def test_a_trial_whose_request_came_to_nothing_is_made_again() -> None:
    """As long after it as the endpoint had been left alone."""
    patient = Patient(probed=False)
    health = patient.fall()
    patient.clock.advance(5)
    assert health.begin_trial()
    patient.clock.advance(4.9)
    assert not health.begin_trial()
    patient.clock.advance(0.1)
    assert health.begin_trial()


def test_a_full_endpoint_is_left_alone_until_it_said() -> None:
    """The latest time counts, whatever order they come in; and not for ever."""
    patient = Patient()
    health = patient.health
    health.hear(FULL)
    health.hear(UpstreamAnswered("full", status=429, retry_after_seconds=2))
    patient.clock.advance(6.9)
    assert not health.rested()
    patient.clock.advance(0.1)
    assert health.rested()
    health.hear(UpstreamAnswered("full", status=429, retry_after_seconds=10**9))
    patient.clock.advance(REST_SECONDS_MAX)
    assert health.rested()
    assert patient.told == []


@pytest.mark.parametrize(("status", "well"), [(429, False), (503, False), (500, True), (502, True)])
def test_a_time_to_try_again_counts_where_it_means_that_there_is_no_room(status: int, well: bool) -> None:
    """What is broken may work again at once."""
    patient = Patient()
    patient.health.hear(UpstreamAnswered("error", status=status, retry_after_seconds=1))
    assert patient.health.well is well


def test_one_that_is_well_again_is_still_left_alone_until_it_said() -> None:
    """The trial waits for that, too."""
    patient = Patient(probed=False)
    for status in (503, 503):
        patient.health.hear(UpstreamAnswered("no worker", status=status, retry_after_seconds=30))
    patient.clock.advance(29.9)
    assert not patient.health.begin_trial()
    patient.clock.advance(0.1)
    assert patient.health.begin_trial()


def test_how_long_it_will_be_left_alone() -> None:
    """As far as is known: a moment while a trial is under way, and 0 where it is well."""
    patient = Patient()
    health = patient.health
    assert health.wait_seconds() == 0
    health.hear(FULL)
    assert health.wait_seconds() == 7
    patient.clock.advance(7)
    assert health.wait_seconds() == 0
    patient.fall()
    assert health.wait_seconds() == 5
    patient.clock.advance(5)
    assert health.begin_probe()
    assert health.wait_seconds() == 1
