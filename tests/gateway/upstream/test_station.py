"""What a station makes of the results of its tries."""

import pytest

from gateway.errors import (
    ClientDisconnected,
    UpstreamAnswered,
    UpstreamFailed,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.upstream.station import Station
from gateway.upstream.warmth import Warmth
from tests.doubles.clock import ManualClock
from tests.doubles.transport import FakeTransport
from tests.gateway.samples import token_tier
from tiers.tiermap import Endpoint
from tiers.warmth import Sample

TWO = (Endpoint(name="a", url="http://a.test/v1"), Endpoint(name="b", url="http://b.test/v1"))


def station(*endpoints: Endpoint, warmth: Warmth | None = None) -> Station:
    tier = token_tier(endpoints=endpoints)
    transport, clock = FakeTransport(), ManualClock()
    return Station(tier=tier, endpoint=endpoints[0], transport=transport, api_key=None, clock=clock, warmth=warmth)


def test_results_are_counted_where_there_are_siblings_to_compare_with() -> None:
    """A full endpoint and a client that left are no failures."""
    subject = station(*TWO)
    assert subject.tally is not None
    for error in (None, UpstreamTimeout("silent"), UpstreamAnswered("full", status=429), ClientDisconnected("gone")):
        subject.report(error)
    showing = subject.tally.showing(out=False)
    assert (showing.requests, showing.failures) == (4, 1)
    assert station(TWO[0]).tally is None


def test_a_success_ends_a_row_of_failures() -> None:
    """Three in a row are too many, four with a success in between are not."""
    subject = station(TWO[0])
    for error in (UpstreamTimeout("silent"), UpstreamTimeout("silent"), None) * 2:
        subject.report(error)
        assert subject.health.well
    assert not subject.health.marked
    for _ in range(3):
        subject.report(UpstreamTimeout("silent"))
    assert not subject.health.well


@pytest.mark.parametrize("error", [UpstreamTimeout("no worker in time"), UpstreamUnreachable("no worker in time")])
def test_an_endpoint_that_sleeps_is_not_broken(error: UpstreamFailed) -> None:
    """As long as Runpod says of its workers, too, that none could have answered."""
    warmth = Warmth(base="https://api.runpod.test/v2/e1", workers=TWO[0].workers, clock=ManualClock())
    subject = station(*TWO, warmth=warmth)
    assert subject.tally is not None
    for sample in (Sample(initializing=1, in_queue=1), Sample(throttled=1), Sample(in_queue=3), Sample(unhealthy=1)):
        warmth.heard(sample)
        for _ in range(5):
            subject.report(error)
    assert subject.health.well
    assert subject.tally.showing(out=False).requests == 0


@pytest.mark.parametrize("sample", [None, Sample(), Sample(ready=1, running=1, in_progress=1)])
def test_a_failure_that_no_sleep_explains_counts(sample: Sample | None) -> None:
    """And an answer that is an error does anyway."""
    warmth = Warmth(base="https://api.runpod.test/v2/e1", workers=TWO[0].workers, clock=ManualClock())
    subject = station(TWO[0], warmth=warmth)
    if sample is not None:
        warmth.heard(sample)
    for _ in range(3):
        subject.report(UpstreamTimeout("silent"))
    assert not subject.health.well
    other = station(TWO[0], warmth=warmth)
    warmth.heard(Sample(initializing=1, in_queue=1))
    for _ in range(3):
        other.report(UpstreamAnswered("broken", status=500))
    assert not other.health.well


def test_each_answer_says_who_served_it_and_why() -> None:
    """Whatever was said before; a route's name that no header can hold is not said."""
    subject = station(TWO[0])
    for reason, said in (("tier", b"tier"), ("fallback", b"fallback"), ("route:a\nb", None), ("tier", b"tier")):
        headers = dict(subject.served(reason).fields)
        assert headers[b"x-tiergate-tier"] == b"routing"
        assert headers[b"x-tiergate-endpoint"] == b"a"
        assert headers.get(b"x-tiergate-reason") == said
