"""Ways to endpoints outlive a generation that shares them, and no other."""

import pytest

from gateway.upstream.ways import Ways
from tests.doubles.transport import FakeTransport
from tiers.tiermap import Timeouts

URL, OTHER = "http://one.test/v1", "http://other.test/v1"
TIMEOUTS, PATIENT = Timeouts(), Timeouts(total=1000)


class Maker:
    """Makes ways, and keeps them."""

    def __init__(self) -> None:
        self.made: list[FakeTransport] = []

    def __call__(self, url: str, timeouts: Timeouts) -> FakeTransport:
        """Refuses what has no host."""
        if not url:
            raise ValueError("an endpoint's URL names a host")
        assert timeouts.connect
        self.made.append(FakeTransport())
        return self.made[-1]


async def test_a_way_is_one_for_all_who_wait_equally_long() -> None:
    """Within a generation and between two; another URL or other timeouts are another way."""
    ways = Ways(Maker())
    one, other = ways.lease(), ways.lease()
    way = one.to(URL, TIMEOUTS)
    assert one.to(URL, Timeouts()) is way
    assert other.to(URL, TIMEOUTS) is way
    assert other.to(URL, PATIENT) is not way
    assert other.to(OTHER, TIMEOUTS) is not way


async def test_a_way_is_closed_when_the_last_who_uses_it_lets_go() -> None:
    """And not before; letting go twice counts once."""
    maker = Maker()
    ways = Ways(maker)
    one, other = ways.lease(), ways.lease()
    for lease in (one, one, other):
        lease.to(URL, TIMEOUTS)
    one.to(OTHER, TIMEOUTS)
    shared, own = maker.made
    await one.aclose()
    await one.aclose()
    assert (shared.closed, own.closed) == (False, True)
    await other.aclose()
    assert shared.closed
    assert ways.lease().to(URL, TIMEOUTS) is not shared


async def test_what_was_never_used_is_given_back_without_a_wait() -> None:
    """It is returned where nobody else has it."""
    maker = Maker()
    ways = Ways(maker)
    one, other = ways.lease(), ways.lease()
    shared, own = one.to(URL, TIMEOUTS), other.to(OTHER, TIMEOUTS)
    other.to(URL, TIMEOUTS)
    assert other.give_back() == [own]
    assert one.give_back() == [shared]


def test_a_way_that_cannot_be_made_leaves_nothing() -> None:
    """The next one who asks for it is told again."""
    lease = Ways(Maker()).lease()
    for _ in range(2):
        with pytest.raises(ValueError, match="names a host"):
            lease.to("", TIMEOUTS)
    assert lease.give_back() == []
