"""One connection to an endpoint: one request and its answer at a time."""

import asyncio
import contextlib
import os
import ssl
from asyncio.trsock import TransportSocket
from typing import Final, Protocol, cast

from gateway.upstream.familiar import FamiliarHead
from gateway.upstream.response import Response

BUFFERED_BYTES_MAX: Final = 262_144
"""Above this much unread body reading stops until the reader took it: a slow reader slows the endpoint."""
WRITE_BYTES_MAX: Final = 65_536
"""A body up to this size leaves with its head in one write, a larger one in pieces of it."""

_TIMER_SLACK_SECONDS: Final = 0.002
"""Loops round timers to milliseconds; a timer this much early counts as due."""
_STATUS_ERROR: Final = 400


class Owner(Protocol):
    """The pool, as a connection sees it."""

    def idle(self, connection: "Connection") -> None:
        """The connection is ready for another request."""

    def lost(self, connection: "Connection") -> None:
        """The connection is closed; it will not be heard of again."""


class Connection(asyncio.Protocol):
    """Moves bytes between a socket and the ``Response`` of the moment, and keeps its time limit.

    Bytes or an end that come while no request is under way close the connection: whatever they mean, they are
    no answer to the next request. The time limit is one loop timer per connection that is armed late: it is
    only moved when a limit comes earlier than it is set to, and asks for the real limit when it fires.
    """

    __slots__ = (
        "_deadline",
        "_gone",
        "_loop",
        "_lost",
        "_owner",
        "_reading_paused",
        "_response",
        "_timer",
        "_timer_at",
        "_transport",
        "_unsent",
        "_writing_paused",
        "familiar",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: Owner) -> None:
        self._loop = loop
        self._owner = owner
        self.familiar = FamiliarHead()
        self._transport: asyncio.Transport | None = None
        self._response: Response | None = None
        self._unsent: memoryview | None = None
        self._lost = self._reading_paused = self._writing_paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = self._deadline = 0.0
        self._gone: asyncio.Future[None] | None = None

    @property
    def usable(self) -> bool:
        """Whether a request can be sent, as far as this side knows."""
        return not self._lost and self._transport is not None and not self._transport.is_closing()

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS side of the connection, where it has one and is still open."""
        transport = self._transport
        return None if transport is None else cast("ssl.SSLObject | None", transport.get_extra_info("ssl_object"))

    async def gone(self) -> None:
        """Wait until an aborted connection is closed, which takes a turn or two of the loop. One waiter."""
        if not self._lost:
            self._gone = self._loop.create_future()
            await self._gone

    def begin(self, response: Response, head: bytes, body: bytes) -> None:
        """Send a request whose answer goes to ``response``. What cannot leave now leaves later."""
        self._response = response
        if self._transport is None or self._lost:
            response.lose(None)
        elif len(body) <= WRITE_BYTES_MAX:
            self._transport.write(head + body)
        else:
            self._unsent = memoryview(body)
            self._transport.write(head)
            self._send_more()

    def abort(self) -> None:
        """Close now, so that the endpoint sees it at once; nothing more is sent or received."""
        response, self._response = self._response, None
        if response is not None:
            response.lose(None)
        self._unsent = None
        if self._transport is not None:
            self._transport.abort()

    def expect_by(self, when: float) -> None:
        """See ``Line``."""
        self._deadline = when
        if self._timer is None:
            self._arm(when)
        elif when < self._timer_at:
            self._timer.cancel()
            self._arm(when)

    def resume(self) -> None:
        """See ``Line``."""
        if self._reading_paused:
            self._reading_paused = False
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    def release(self, *, reusable: bool) -> None:
        """See ``Line``. A connection whose request has not left in full is never used again."""
        self._response = None
        transport = self._transport
        if reusable and self._unsent is None and self.usable and not (transport and transport.get_write_buffer_size()):
            self.resume()
            self._owner.idle(self)
        else:
            self.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Loop: connected."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not derive from it

    def data_received(self, data: bytes) -> None:
        """Loop: bytes came."""
        response = self._response
        if response is None:
            self.abort()
            return
        response.receive(data)
        if response.error is not None:
            self.abort()
        elif (
            response.received.buffered > BUFFERED_BYTES_MAX and not self._reading_paused and self._transport is not None
        ):
            self._reading_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        """Loop: the endpoint closed its side. Nothing can come any more, so this side closes too."""
        response = self._response
        if response is not None:
            response.end()
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Loop: closed, by whichever side."""
        self._lost = True
        self._owner.lost(self)
        if self._response is not None:
            if exc is not None:
                self._read_last_words(self._response)
            self._response.lose(exc)
        self._transport = None
        self.abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def pause_writing(self) -> None:
        """Loop: the endpoint reads more slowly than this side sends."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """Loop: the endpoint has caught up."""
        self._writing_paused = False
        self._send_more()

    def _send_more(self) -> None:
        """Send what the endpoint will take of the body, unless it has already refused the request."""
        transport, response = self._transport, self._response
        if transport is None or response is None or response.received.status >= _STATUS_ERROR:
            return
        while self._unsent is not None and not self._writing_paused and not transport.is_closing():
            piece = self._unsent[:WRITE_BYTES_MAX]
            self._unsent = self._unsent[WRITE_BYTES_MAX:] if len(self._unsent) > WRITE_BYTES_MAX else None
            transport.write(piece)

    def _read_last_words(self, response: Response) -> None:
        """Receive what the endpoint sent before it broke the connection.

        An endpoint may refuse a large request and close before it has read it. asyncio closes its transport
        when a write fails, with that refusal unread in the socket, which is closed right after
        ``connection_lost``. uvloop reads first, and its socket object is a mere number that may be another
        connection's by now.
        """
        endpoint = self._transport.get_extra_info("socket") if self._transport is not None else None
        if self.tls is not None or not isinstance(endpoint, TransportSocket):
            return
        with contextlib.suppress(OSError):
            while not response.received.complete and (data := os.read(endpoint.fileno(), BUFFERED_BYTES_MAX)):
                response.receive(data)

    def _arm(self, when: float) -> None:
        self._timer_at = when
        self._timer = self._loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        response = self._response
        if response is None:
            return
        if self._loop.time() + _TIMER_SLACK_SECONDS < self._deadline:
            self._arm(self._deadline)
        elif response.expire():
            self.abort()
