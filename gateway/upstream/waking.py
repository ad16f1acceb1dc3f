"""Waking a sleeping endpoint when no request is to do it: an operator asks for it, or its request went elsewhere."""

import asyncio
from typing import cast

from gateway.errors import UpstreamFailed
from gateway.upstream.gate import Wakes
from gateway.upstream.health import Report
from gateway.upstream.station import Station
from gateway.upstream.transport import Waking
from tiers.warmth import State


class Waker:
    """Wakes one worker at a time, over all processes."""

    def __init__(self, *, wakes: Wakes, report: Report) -> None:
        self._wakes = wakes
        self._report = report
        self._tasks: dict[str, asyncio.Task[bool]] = {}

    async def wake(self, station: Station) -> bool:
        """Have a worker of ``station`` woken, unless one is awake or on its way. Says whether it was sent for now.

        Raises:
            UpstreamFailed: The endpoint did not hear it.
        """
        warmth = station.warmth
        if warmth is None or warmth.ready or warmth.state is State.WAKING:
            return False
        if not await self._wakes.claim(warmth.base, 1, 1):
            return False
        try:
            await cast("Waking", station.transport).wake([station.headers])
        finally:
            await self._wakes.release(warmth.base, 1)  # from now on its state says that it wakes
        return True

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
