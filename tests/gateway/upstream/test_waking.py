"""Waking an endpoint when no request does it."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.errors import UpstreamFailed, UpstreamUnreachable
from gateway.upstream.station import Station
from gateway.upstream.waking import Waker
from gateway.wire.header_lines import HeaderLines
from tests.doubles.clock import ManualClock
from tests.doubles.transport import FakeTransport
from tests.doubles.wakes import CountedWakes
from tests.doubles.warmth import ManualWarmth
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
