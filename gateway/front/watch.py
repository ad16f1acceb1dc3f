"""What a guarded connection waits for from its client, and for how long."""

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.wire.pace import HEAD_SECONDS, body_due

TICK_SECONDS: Final = 1.0
"""How exact these bounds are."""
STALL_SECONDS: Final = 120.0
"""Without a byte taken by a client that does not read its answer."""
SPARE_SECONDS: Final = 5.0
"""Who serves a request waits for its body itself, and can say more; this is for bodies that nobody waits for."""


class Watch:
    """Looks each second, as long as there is anything to wait for: a head, a body, or that an answer is read.

    Attributes:
        transport: The connection's.
    """

    transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop, late: Callable[[], None]) -> None:
        """``late`` is called when a head or body did not come in time."""
        self._loop = loop
        self._late = late
        self._timer: asyncio.TimerHandle | None = None
        self._begun = self._heard = self._moved = 0.0
        self._taken = self._unsent = 0
        self._awaited = ""

    def await_head(self) -> None:
        """Some of a head came; its time runs from the first on."""
        if self._awaited != "head":
            self._awaited, self._begun = "head", self._loop.time()
            self._start()

    def await_body(self) -> None:
        """A head is whole."""
        self._awaited, self._taken = "body", 0
        self._begun = self._heard = self._loop.time()

    def take(self, size: int) -> None:
        """So many bytes of a body came."""
        self._taken += size
        self._heard = self._loop.time()

    def again(self) -> None:
        """It could not come: begin anew."""
        self._begun, self._heard, self._taken = self._loop.time(), self._loop.time(), 0
        self._start()

    def rest(self) -> None:
        """The request is whole; the client waits for the gateway now."""
        self._awaited = ""

    def sent(self) -> None:
        """Something was sent that the client may not read."""
        self._moved, self._unsent = self._loop.time(), self.transport.get_write_buffer_size()
        if self._unsent:
            self._start()

    def end(self) -> None:
        """Wait for nothing more, and for nobody: whoever was to be called is not held any longer."""
        self._awaited, self._late = "", _nothing
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_at(self._loop.time() + TICK_SECONDS, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time()
        unsent = self.transport.get_write_buffer_size()
        if unsent < self._unsent or not unsent:
            self._moved = now
        self._unsent = unsent
        if now - self._moved >= STALL_SECONDS:
            self.transport.abort()
        elif self._awaited and now >= self._due():
            self._late()
        elif self._awaited or unsent:
            self._start()

    def _due(self) -> float:
        if self._awaited == "head":
            return self._begun + HEAD_SECONDS
        return body_due(self._begun, self._taken, self._heard) + SPARE_SECONDS


def _nothing() -> None:
    pass
