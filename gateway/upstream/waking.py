"""Waking a sleeping endpoint when no request is to do it: an operator asks for it, or its request went elsewhere."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from gateway.errors import UpstreamFailed
from gateway.upstream.gate import Wakes
from gateway.upstream.health import Report
from gateway.upstream.station import Station
from gateway.upstream.transport import Waking
from gateway.upstream.warmth import Warmth
from tiers.warmth import State


def to_wake(stations: Sequence[Station]) -> Station | None:
    """Which of a tier's endpoints has to wake so that the tier can serve; ``None`` where it can at once.

    Of several that sleep it is the first one that is not known to be broken: requests go to an endpoint that is awake
    before any that sleeps, so that one is enough, and each costs money.
    """
    asleep = [(station, station.warmth) for station in stations if station.warmth is not None]
    if not asleep or len(asleep) < len(stations) or any(warmth.ready for _, warmth in asleep):
        return None
    return min(asleep, key=lambda each: each[1].outlook().hopeless)[0]


async def unbounded(_key: str) -> None:
    """Any key may have any number of workers woken."""


class Waker:
    """Wakes one worker at a time, over all processes."""

    def __init__(self, *, wakes: Wakes, report: Report, allow: Callable[[str], Awaitable[None]] = unbounded) -> None:
        """``allow`` raises where a key, by its name, may not have a worker woken ahead of its requests."""
        self._wakes = wakes
        self._report = report
        self._allow = allow
        self._tasks: dict[str, asyncio.Task[bool]] = {}

    async def wake(self, station: Station) -> bool:
        """Have a worker of ``station`` woken, unless one is awake or on its way. Says whether it was sent for now.

        Raises:
            UpstreamFailed: The endpoint did not hear it.
        """
        warmth = station.warmth
        if warmth is None or not _sleeps(warmth):
            return False
        if not await self._wakes.claim(warmth.base, 1, 1):
            return False
        try:
            await cast("Waking", station.transport).wake([station.headers])
        finally:
            await self._wakes.release(warmth.base, 1)  # from now on its state says that it wakes
        return True

    async def wake_ahead(self, station: Station, key: str) -> bool:
        """The same, for a key that wants it before a request of its needs it.

        Raises:
            RateLimited: The key has had too many woken.
            StoreUnavailable: Nobody can say how many.
            UpstreamFailed: The endpoint did not hear it.
        """
        if station.warmth is None or not _sleeps(station.warmth):
            return False
        await self._allow(key)
        return await self.wake(station)

    def wake_later(self, station: Station) -> None:
        """The same, in the background; a failure is logged."""
        if station.warmth is None or station.warmth.base in self._tasks:
            return
        base = station.warmth.base
        task = asyncio.get_running_loop().create_task(self._logged(station))
        self._tasks[base] = task
        task.add_done_callback(lambda _: self._tasks.pop(base, None))

    async def _logged(self, station: Station) -> bool:
        try:
            return await self.wake(station)
        except UpstreamFailed as error:
            self._report(
                "endpoint.wake_failed", endpoint=station.endpoint.name, error=error.code, message=error.message
            )
            return False


def _sleeps(warmth: Warmth) -> bool:
    return not warmth.ready and warmth.state is not State.WAKING
