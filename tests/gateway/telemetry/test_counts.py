"""Good requests are noted, and counted together."""

import pytest
from msgspec.structs import astuple
from prometheus_client import CollectorRegistry

from gateway.record import RequestRecord
from gateway.telemetry.counts import NOTES, CountFirst, Counts, Owed
from gateway.telemetry.series import Count, Distribution
from tests.gateway.samples import record

BOUNDS = (1.0, 2.0)


def counts(of: RequestRecord) -> Counts:
    """Nothing counted yet."""

    def distribution() -> Distribution:
        return Distribution(BOUNDS, 0.0)

    made = Counts(
        of,
        requests=Count(0.0),
        duration=distribution(),
        queue_delay=distribution(),
        overhead=distribution(),
        input_tokens=distribution(),
        output_tokens=distribution(),
        first_token=distribution(),
        per_token=distribution(),
    )
    made.owed = Owed(cost=Count(0.0), gpu=Count(0.0))
    return made


def test_what_is_noted_is_counted_once_and_only_when_it_is_asked_for() -> None:
    """Everything that a record tells of a good answer."""
    subject = counts(record())
    subject.note(astuple(record()), 2.25)
    assert subject.requests.value == 0
    subject.count()
    subject.count()
    assert subject.requests.value == 1
    assert subject.duration.total == 3.0
    assert subject.queue_delay.total == 0.5
    assert subject.overhead.total == 0.25
    assert subject.input_tokens.total == 12
    assert subject.output_tokens.total == 5
    assert subject.first_token.total == 1.0
    assert subject.per_token.total == 0.5
    assert subject.owed is not None
    assert subject.owed.cost.value == pytest.approx(0.00012)
    assert subject.owed.gpu.value == 0.75


@pytest.mark.parametrize("requests", [NOTES - 1, NOTES, NOTES + 1, 3 * NOTES + 2])
def test_no_note_is_lost_or_counted_twice(requests: int) -> None:
    """However many there are before anybody looks."""
    subject = counts(record())
    for number in range(requests):
        subject.note(astuple(record(input_tokens=number)), 2.25)
    subject.count()
    assert subject.requests.value == requests
    assert subject.input_tokens.total == sum(range(requests))


def test_a_note_holds_nothing_of_the_one_that_was_written_there_before() -> None:
    """A whole answer after streamed ones has no time to a first token of its own."""
    subject = counts(record())
    for _ in range(NOTES):
        subject.note(astuple(record()), 2.25)
    for _ in range(NOTES):
        subject.note(astuple(record(stream=False, queue_delay_seconds=None)), 3.5)
    subject.count()
    assert sum(subject.first_token.counts) == sum(subject.per_token.counts) == NOTES
    assert subject.queue_delay.total == NOTES * 0.5
    assert subject.overhead.total == NOTES * 0.25, "it is never below zero"


def test_an_answer_of_one_token_has_no_time_per_further_token() -> None:
    subject = counts(record())
    subject.note(astuple(record(output_tokens=1)), 2.25)
    subject.count()
    assert sum(subject.per_token.counts) == 0


def test_what_costs_nothing_owes_nothing() -> None:
    """Nobody is owed anything before the first charge."""
    subject = counts(record())
    subject.owed = None
    subject.note(astuple(record(gpu_seconds=0.0, cost_microdollars=0, charges=())), 2.25)
    subject.count()
    assert subject.requests.value == 1


@pytest.mark.parametrize("label", ["tier", "operation", "outcome", "reason", "error"])
def test_counts_are_of_the_requests_with_their_labels(label: str) -> None:
    subject = counts(record())
    assert subject.are_of(astuple(record(input_tokens=99)))
    assert not subject.are_of(astuple(record(**{label: "another"})))


def test_whoever_collects_from_a_registry_finds_what_was_noted() -> None:
    """The collector itself shows nothing."""
    subject = counts(record())
    subject.note(astuple(record()), 2.25)
    registry = CollectorRegistry()
    registry.register(CountFirst({("labels",): subject}))
    assert list(registry.collect()) == []
    assert subject.requests.value == 1
