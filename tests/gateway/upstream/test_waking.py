"""Waking an endpoint when no request does it."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.errors import RateLimited, UpstreamFailed, UpstreamUnreachable
from gateway.upstream.station import Station
from gateway.upstream.waking import Waker, to_wake
from gateway.wire.header_lines import HeaderLines
from tests.doubles.clock import ManualClock
from tests.doubles.transport import FakeTransport
from tests.doubles.wakes import CountedWakes
from tests.doubles.warmth import ManualWarmth, hope
from tests.gateway.samples import token_tier
from tests.stores import eventually


class Sleeper(FakeTransport):
    """Counts how often it is woken; fails as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.woken = 0
        self.headers: Sequence[HeaderLines] = ()
        self.error: UpstreamFailed | None = None
        self.warmth: ManualWarmth | None = None

    async def wake(self, headers: Sequence[HeaderLines]) -> None:
        """See ``Waking``."""
        self.woken += 1
        self.headers = headers
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        if self.warmth is not None:
            self.warmth.called()


class Bed:
    """A station that sleeps, and its waker."""

    def __init__(self, *, sleeps: bool = True) -> None:
        tier = token_tier()
        self.transport = Sleeper()
        self.warmth = self.transport.warmth = ManualWarmth()
        self.station = Station(
            tier=tier,
            endpoint=tier.endpoints[0],
            transport=self.transport,
            api_key="rpa_key",
            clock=ManualClock(),
            warmth=self.warmth if sleeps else None,
        )
        self.wakes = CountedWakes()
        self.told: list[dict[str, object]] = []
        self.waker = Waker(wakes=self.wakes, report=self.report)

    def report(self, event: str, /, **keys: object) -> None:
        """See ``Report``."""
        self.told.append({"event": event, **keys})


async def test_one_worker_is_woken_with_the_endpoints_key() -> None:
    """However often it is asked for: while it wakes up no other is sent for."""
    bed = Bed()
    assert await bed.waker.wake(bed.station) is True
    assert await bed.waker.wake(bed.station) is False
    assert bed.transport.woken == 1
    assert b"".join(lines.text() for lines in bed.transport.headers) == b"authorization: Bearer rpa_key\r\n"


@pytest.mark.parametrize("sleeps", [True, False])
async def test_who_is_awake_is_let_be(*, sleeps: bool) -> None:
    """And who never sleeps."""
    bed = Bed(sleeps=sleeps)
    bed.warmth.wake(10)
    assert await bed.waker.wake(bed.station) is False
    bed.waker.wake_later(bed.station)
    assert bed.transport.woken == 0


async def test_where_it_was_not_heard_it_may_be_tried_again() -> None:
    """The failure is told, and the claim given back."""
    bed = Bed()
    bed.transport.error = UpstreamUnreachable("Nobody there.")
    with pytest.raises(UpstreamUnreachable):
        await bed.waker.wake(bed.station)
    bed.transport.error = None
    assert await bed.waker.wake(bed.station) is True


async def test_in_the_background_it_is_woken_once_and_a_failure_logged() -> None:
    """By all the requests that have gone elsewhere meanwhile."""
    bed = Bed()
    bed.transport.error = UpstreamUnreachable("Nobody there.")
    for _ in range(5):
        bed.waker.wake_later(bed.station)
    await eventually(lambda: bool(bed.told))
    assert bed.transport.woken == 1
    assert bed.told == [
        {
            "event": "endpoint.wake_failed",
            "endpoint": "routing/0",
            "error": "upstream_unreachable",
            "message": "Nobody there.",
        }
    ]


class Refusing:
    """Allows no key anything, and notes which asked."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    async def take(self, key: str) -> None:
        """See ``gateway.upstream.allowance.Allowance``."""
        self.keys.append(key)
        raise RateLimited("Enough.")


async def test_ahead_of_requests_a_key_may_have_only_so_many_woken() -> None:
    """Where none has to be woken it is not asked how many it has had."""
    bed, refusing = Bed(), Refusing()
    waker = Waker(wakes=bed.wakes, report=bed.report, allow=refusing.take)
    with pytest.raises(RateLimited):
        await waker.wake_ahead(bed.station, "demo")
    assert await bed.waker.wake_ahead(bed.station, "demo") is True
    assert await waker.wake_ahead(bed.station, "demo") is False
    assert (refusing.keys, bed.transport.woken) == (["demo"], 1)


def test_a_tier_is_woken_where_nothing_of_it_can_serve_and_by_the_first_that_gives_hope() -> None:
    awake, broken, fine, sleepless = Bed(), Bed(), Bed(), Bed(sleeps=False)
    awake.warmth.wake(1)
    broken.warmth.hope = hope(hopeless=True)
    assert to_wake([broken.station, fine.station]) is fine.station
    assert to_wake([broken.station]) is broken.station
    for other in (awake, sleepless):
        assert to_wake([fine.station, other.station]) is None
    assert to_wake([]) is None
