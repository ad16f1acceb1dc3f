"""One connection to the store: commands out, replies matched in order."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, RedisError

from gateway.store.resp import NOTHING, NotServingError, Reply, reader

REPLY_BYTES_MAX: Final = 32 * 1024 * 1024
"""How much of one reply is taken, at most; scripts answer with a few hundred bytes."""


class Line(asyncio.Protocol):
    """A connection; it ends once, and every command that then waits gets the reason.

    Attributes:
        waiting: The futures of commands that were sent and not answered, oldest first.
        answered: Replies so far.
        full: Whether the connection takes no more bytes for now.
        ended: Why the connection is over; ``None`` while it lasts.
        gone: Done once its socket is closed.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self.waiting: deque[asyncio.Future[Reply]] = deque()
        self.answered = 0
        self.full = False
        self.ended: RedisError | None = None
        self.gone: asyncio.Future[None] = loop.create_future()
        self.on_end: Callable[[Line], None] = _ignore
        self.on_room: Callable[[], None] = _no_op
        self._loop = loop
        self._name = name
        parser = reader()
        self._feed: Callable[[bytes], None] = parser.feed
        self._gets: Callable[[], Any] = parser.gets
        self._unparsed_bytes = 0
        self._transport: asyncio.Transport

    def send(self, packed: bytes, futures: Sequence[asyncio.Future[Reply]]) -> None:
        """Write commands, packed one after the other, and match their replies with ``futures``."""
        self.waiting.extend(futures)
        self._transport.write(packed)

    def ask(self, packed: bytes) -> asyncio.Future[Reply]:
        """Send one packed command; its reply comes through the future."""
        future: asyncio.Future[Reply] = self._loop.create_future()
        self.send(packed, (future,))
        return future

    def end(self, error: RedisError) -> None:
        """Close the connection at once; those who wait get ``error``. Without effect where it is over."""
        if self.ended is not None:
            return
        self.ended = error
        self._transport.abort()
        while self.waiting:
            future = self.waiting.popleft()
            if not future.done():
                # One of its own for each: an exception that many raise grows by all their tracebacks.
                future.set_exception(type(error)(*error.args))
        self.on_end(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.Protocol``."""
        self._transport = transport  # type: ignore[assignment]  # what streams get, also uvloop's own class
        # What is written leaves at once and not at the end of the loop's turn: it was gathered here already.
        # One byte and not none: over TLS asyncio calls a connection full that holds as much as it may, so an empty one.
        self._transport.set_write_buffer_limits(high=1)

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        self.end(RedisConnectionError(f"The connection to {self._name} was lost{f': {exc}' if exc else ''}."))
        self.gone.set_result(None)

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        if self.ended is not None:
            return
        waiting = self.waiting
        before = len(waiting)
        gets = self._gets
        self._unparsed_bytes += len(data)
        reply: Any = NOTHING
        leave: NotServingError | None = None
        try:
            self._feed(data)
            while (reply := gets()) is not NOTHING:
                future = waiting.popleft()
                if future.done():
                    if isinstance(reply, NotServingError):
                        leave = reply
                    continue
                # Most are numbers, which is known at once.
                if not isinstance(reply, int) and isinstance(reply, RedisError):
                    if isinstance(reply, NotServingError):
                        leave = reply
                    future.set_exception(reply)
                else:
                    future.set_result(reply)
        except IndexError:
            said = f": {reply}" if isinstance(reply, RedisError) else ""
            self.end(RedisConnectionError(f"{self._name} sent a reply that nobody waits for{said}."))
            return
        except InvalidResponse as error:
            self.end(RedisConnectionError(f"{self._name} sent what is no reply of a store ({error})."))
            return
        if len(waiting) < before:
            self.answered += before - len(waiting)
            self._unparsed_bytes = 0
            if leave is not None:
                self.end(NotServingError(str(leave)))
        elif self._unparsed_bytes > REPLY_BYTES_MAX:
            self.end(RedisConnectionError(f"{self._name} sent a reply of more than {REPLY_BYTES_MAX} bytes."))

    def pause_writing(self) -> None:
        """See ``asyncio.Protocol``."""
        self.full = True

    def resume_writing(self) -> None:
        """See ``asyncio.Protocol``."""
        self.full = False
        self.on_room()


def _ignore(_: Line) -> None:
    """Nobody owns the line yet."""


def _no_op() -> None:
    """Nobody owns the line yet."""
