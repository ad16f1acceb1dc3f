"""The emulator's clock: it runs faster than the machine's, or stands until it is moved."""

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count

SPEED_MAX = 10_000.0


class Alarm:
    """A call that is due at some time; ``cancel`` before that makes it none."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    @property
    def live(self) -> bool:
        """Whether it is still to be made."""
        return self._call is not None

    def cancel(self) -> None:
        """Never make the call."""
        self._call = None

    def ring(self) -> None:
        """Make the call, once."""
        call, self._call = self._call, None
        if call is not None:
            call()


class EmulatedClock:
    """Time in seconds since 1970, as far as the emulator is concerned.

    Args:
        start: What time it is now.
        speed: Emulated seconds for one of the machine's; 0 stands still until ``advance`` moves it.
    """

    def __init__(self, *, start: float, speed: float = 1.0) -> None:
        self._speed = speed
        self._base = start
        self._base_at: float | None = None
        self._alarms: list[tuple[float, int, Alarm]] = []
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def speed(self) -> float:
        """Emulated seconds for one of the machine's."""
        return self._speed

    def now(self) -> float:
        """What time it is."""
        if not self._speed:
            return self._base
        here = asyncio.get_running_loop().time()
        if self._base_at is None:
            self._base_at = here
        return self._base + (here - self._base_at) * self._speed

    def set_speed(self, speed: float) -> None:
        """Run at another speed from now on; 0 stands still."""
        self._base = self.now()
        self._base_at = None
        self._speed = speed
        self._arm()

    def advance(self, seconds: float) -> None:
        """Jump forward; alarms that come due on the way ring in their order, each at its own time."""
        target = self.now() + seconds
        while self._alarms and self._alarms[0][0] <= target:
            at, _, alarm = heapq.heappop(self._alarms)
            self._set(max(at, self.now()))
            alarm.ring()
        self._set(target)
        self._arm()

    def call_at(self, when: float, call: Callable[[], None]) -> Alarm:
        """Make a call when that time has come."""
        alarm = Alarm(call)
        heapq.heappush(self._alarms, (when, next(self._numbers), alarm))
        self._arm()
        return alarm

    async def sleep(self, seconds: float) -> None:
        """Wait until so much emulated time has passed."""
        over = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not over.done():
                over.set_result(None)

        alarm = self.call_at(self.now() + max(seconds, 0.0), wake)
        try:
            await over
        finally:
            alarm.cancel()

    @asynccontextmanager
    async def timeout(self, seconds: float) -> AsyncIterator[None]:
        """A block that is ended with ``TimeoutError`` when it takes more emulated time than that."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as scope:
            alarm = self.call_at(self.now() + seconds, lambda: scope.reschedule(loop.time()))
            try:
                yield
            finally:
                alarm.cancel()

    def _set(self, now: float) -> None:
        self._base = now
        self._base_at = None

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._alarms and not self._alarms[0][2].live:
            heapq.heappop(self._alarms)
        if self._alarms and self._speed:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, (self._alarms[0][0] - self.now()) / self._speed), self._ring)

    def _ring(self) -> None:
        self._timer = None
        while self._alarms and self._alarms[0][0] <= self.now():
            heapq.heappop(self._alarms)[2].ring()
        self._arm()
