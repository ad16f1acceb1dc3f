"""Who is let in, and how a connection is shown out: with an answer that its client gets to read.

To close a socket that holds bytes nobody has read resets the connection, and the client's system then throws away what
it has not read yet: the very answer that says why. So the answer is sent, then the gateway's half is closed, and what
still comes is dropped for a moment.
"""

import asyncio
from http import HTTPStatus
from typing import Final, cast

from gateway.errors import GatewayError, GatewayFull
from gateway.wire.envelope import error_body, error_headers

CONNECTIONS_MAX: Final = 65_536
"""Open at once in one process, whatever its limit of open files would allow."""
LINGER_SECONDS: Final = 2.0
"""How long what a client still sends is dropped before its connection is closed."""
LINGER_BYTES_MAX: Final = 4 * 1024 * 1024
LEAVING_MAX: Final = 128
"""Connections that are being shown out at once; one more is closed without a word."""
FULL_RETRY_SECONDS: Final = 1.0


class Door:
    """The way in and out of one server.

    Attributes:
        connections_max: How many may be open at once.
    """

    __slots__ = ("_leaving", "connections_max")

    def __init__(self, connections_max: int = CONNECTIONS_MAX) -> None:
        self.connections_max = connections_max
        self._leaving: set[_Farewell] = set()

    def turn_away(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        """There is no room for one more."""
        full = GatewayFull(
            f"This gateway process has {self.connections_max} open connections, which is the most it may have.",
            retry_after_seconds=FULL_RETRY_SECONDS,
        )
        self.show_out(transport, loop, full)

    def show_out(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, error: GatewayError) -> None:
        """Tell the client of ``error`` as the last thing on its connection, which must be at an answer's beginning.

        The connection's protocol hears no more of it.
        """
        if len(self._leaving) >= LEAVING_MAX:
            transport.abort()
            return
        farewell = _Farewell(transport, self._leaving)
        transport.set_protocol(farewell)
        farewell.say(last_answer(error), loop)


class _Farewell(asyncio.Protocol):
    """A connection whose last answer is on its way."""

    def __init__(self, transport: asyncio.Transport, leaving: set["_Farewell"]) -> None:
        self._transport = transport
        self._leaving = leaving
        self._dropped = 0
        self._timer: asyncio.TimerHandle | None = None

    def say(self, answer: bytes, loop: asyncio.AbstractEventLoop) -> None:
        self._leaving.add(self)
        self._timer = loop.call_at(loop.time() + LINGER_SECONDS, self._transport.abort)
        self._transport.write(answer)
        self._transport.write_eof()

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        self._dropped += len(data)
        if self._dropped > LINGER_BYTES_MAX:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.BaseProtocol``."""
        del exc
        self._leaving.discard(self)
        cast("asyncio.TimerHandle", self._timer).cancel()


def last_answer(error: GatewayError) -> bytes:
    """``error`` as the whole answer with which a connection ends."""
    body = error_body(error)
    headers = [
        *error_headers(error),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (error.status, HTTPStatus(error.status).phrase.encode(), lines, body)
