"""An event loop's clock and timers that the test moves, and a socket transport that records."""

import asyncio
from collections.abc import Callable
from typing import cast


class ManualTimer:
    """A timer of ``ManualLoop``."""

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        """It will not fire."""
        self.cancelled = True


class ManualLoop:
    """What a connection needs of a loop: time, timers and futures. ``armed`` counts the timers ever made."""

    def __init__(self) -> None:
        self.now = 100.0
        self.armed = 0
        self._timers: list[ManualTimer] = []

    def as_loop(self) -> asyncio.AbstractEventLoop:
        """Itself, for a parameter that wants a whole loop."""
        return cast("asyncio.AbstractEventLoop", self)

    def time(self) -> float:
        """The time that the test set."""
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> ManualTimer:
        """Call when ``advance`` passes ``when``."""
        timer = ManualTimer(when, callback)
        self._timers.append(timer)
        self.armed += 1
        return timer

    def create_future(self) -> "asyncio.Future[None]":
        """A future of the loop that runs the test."""
        return asyncio.get_running_loop().create_future()

    @property
    def waiting(self) -> list[float]:
        """When timers will fire, from now."""
        return sorted(timer.when - self.now for timer in self._timers if not timer.cancelled)

    def advance(self, seconds: float) -> None:
        """Move the clock and fire what is due, in order."""
        end = self.now + seconds
        while due := [timer for timer in self._timers if not timer.cancelled and timer.when <= end]:
            timer = min(due, key=lambda one: one.when)
            self._timers.remove(timer)
            self.now = max(self.now, timer.when)
            timer.callback()
        self.now = end


class RecordingTransport(asyncio.Transport):
    """A socket transport without a socket: records what is written and how the protocol drives it."""

    def __init__(self, extra: dict[str, object] | None = None) -> None:
        super().__init__(extra)
        self.written: list[bytes] = []
        self.reading = True
        self.aborted = False
        self.unsent = 0

    def write(self, data: "bytes | bytearray | memoryview") -> None:
        """See ``asyncio.WriteTransport``."""
        self.written.append(bytes(data))

    def abort(self) -> None:
        """See ``asyncio.WriteTransport``."""
        self.aborted = True

    def is_closing(self) -> bool:
        """See ``asyncio.BaseTransport``."""
        return self.aborted

    def pause_reading(self) -> None:
        """See ``asyncio.ReadTransport``."""
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        """See ``asyncio.ReadTransport``."""
        assert not self.reading
        self.reading = True

    def get_write_buffer_size(self) -> int:
        """See ``asyncio.WriteTransport``."""
        return self.unsent
