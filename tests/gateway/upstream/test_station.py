"""What a station makes of the results of its tries."""

from gateway.errors import ClientDisconnected, UpstreamAnswered, UpstreamTimeout
from gateway.upstream.station import Station
from tests.doubles.clock import ManualClock
from tests.doubles.transport import FakeTransport
from tests.gateway.samples import token_tier
from tiers.tiermap import Endpoint

TWO = (Endpoint(name="a", url="http://a.test/v1"), Endpoint(name="b", url="http://b.test/v1"))


def station(*endpoints: Endpoint) -> Station:
    tier = token_tier(endpoints=endpoints)
    return Station(tier=tier, endpoint=endpoints[0], transport=FakeTransport(), api_key=None, clock=ManualClock())


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
