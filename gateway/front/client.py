"""A client on a hot connection: its request is at hand, and each thing said to it is one write."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from gateway.downstream import Presence, body_too_large, client_left
from gateway.errors import ClientDisconnected, GatewayError
from gateway.front.answer_head import AnswerHeads
from gateway.wire.header_lines import NO_LINES, HeaderLines
from gateway.wire.headers import Header

_CHUNK_SIZES_KEPT: Final = 4096
_CHUNK_SIZES: Final = [b"%x\r\n" % size for size in range(_CHUNK_SIZES_KEPT)]


class Connection(Protocol):
    """The connection that a client is on.

    Attributes:
        heads: Writes its answers' heads.
        loop: Its event loop.
        task: The one that serves its requests.
        transport: Where its bytes go.
        closing: Whether it is closed after the answer that is being given.
        write_paused: Whether the transport has asked to wait with more: the client reads too slowly.
    """

    heads: AnswerHeads
    loop: asyncio.AbstractEventLoop
    task: asyncio.Task[None] | None
    transport: asyncio.Transport
    closing: bool
    write_paused: bool


class HotClient:
    """Fulfils ``Client`` for one request on a connection of its own protocol.

    Attributes:
        complete: Whether the whole answer was handed to the transport.
    """

    __slots__ = (
        "_body",
        "_connection",
        "_fault",
        "_head",
        "_left",
        "_length",
        "_presence",
        "_transport",
        "_waiter",
        "complete",
        "headers",
        "responded",
        "streaming",
    )

    def __init__(self, connection: Connection, length: int, body: bytes | None) -> None:
        """``length`` is the body's, in bytes; a ``body`` of ``None`` is still to be given by ``give``."""
        self._connection = connection
        self._length = length
        self._body = body
        self._fault: GatewayError | None = None
        self._head = b""
        self._left = False
        self._presence: Presence | None = None
        self._transport = connection.transport
        self._waiter: asyncio.Future[None] | None = None
        self.headers: list[Header] = []
        self.responded = self.streaming = self.complete = False

    def give(self, body: bytes) -> None:
        """The body is complete."""
        self._body = body
        self.wake()

    def give_up(self, fault: GatewayError) -> None:
        """The body will not be complete."""
        self._fault = fault
        self.wake()

    def leave(self) -> None:
        """The client is gone: what its request waits for ends, and nothing more is sent."""
        self._left = True
        if self._presence is not None:
            self._presence.interrupt(client_left())
        self.wake()

    def wake(self) -> None:
        """Something has changed that the request may wait for."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def body(self, limit: int) -> bytes:
        """See ``Client.body``."""
        if self._length > limit:
            raise body_too_large(limit)
        while self._body is None:
            if self._left:
                raise ClientDisconnected("The client left before its request was complete.")
            if self._fault is not None:
                raise self._fault
            await self._change()
        return self._body

    def present(self) -> Presence:
        """See ``Client.present``."""
        if self._left:
            raise client_left()
        self._presence = Presence(self._connection.loop, self._connection.task)
        return self._presence

    async def send_whole(
        self, status: int, headers: Sequence[Header], body: bytes, served: HeaderLines = NO_LINES
    ) -> None:
        """See ``Client.send_whole``."""
        self.responded = True
        if self._connection.write_paused:
            await self._read_on()
        if not self._left:
            head = self._written(status, headers, served, b"content-length: %d\r\n" % len(body))
            self._transport.write(head + body)
            self.complete = True

    async def start_stream(self, status: int, headers: Sequence[Header], served: HeaderLines = NO_LINES) -> None:
        """See ``Client.start_stream``. The head leaves with the first piece, in one write."""
        self.responded = self.streaming = True
        self._head = self._written(status, headers, served, b"transfer-encoding: chunked\r\n")

    async def send_piece(self, piece: bytes) -> None:
        """See ``Client.send_piece``. An empty piece is nothing: as a chunk it would end the body."""
        if not piece:
            return
        if self._connection.write_paused:
            await self._read_on()
        if not self._left:
            head, self._head = self._head, b""
            self._transport.write(head + _chunk(piece))

    def push(self, piece: bytes) -> bool:
        """See ``Client.push``."""
        if not self._left:
            self._transport.write(_chunk(piece))
        return not self._connection.write_paused

    async def drain(self) -> None:
        """See ``Client.drain``."""
        if self._connection.write_paused:
            await self._read_on()

    async def end_stream(self, piece: bytes = b"") -> None:
        """See ``Client.end_stream``."""
        self.streaming = False
        if self._connection.write_paused:
            await self._read_on()
        if not self._left:
            chunk = _chunk(piece) if piece else b""
            self._transport.write(b"%b%b0\r\n\r\n" % (self._head, chunk))
            self.complete = True

    async def _read_on(self) -> None:
        """Wait until the client has read enough.

        Raises:
            ClientDisconnected: It left instead.
        """
        while self._connection.write_paused and not self._left:
            await self._change()
        if self._left:
            raise client_left()

    async def _change(self) -> None:
        waiter = self._waiter = self._connection.loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def _written(self, status: int, headers: Sequence[Header], served: HeaderLines, framing: bytes) -> bytes:
        """The answer's head as bytes; ``framing`` is the line that says where its body ends, with its line break."""
        connection = self._connection
        parts = [connection.heads.beginning(status, headers), served.text()]
        says_connection = _speaks_of_connection(headers)
        for name, value in self.headers:
            if name == b"connection":
                says_connection = True
            parts += (name, b": ", value, b"\r\n")
        parts.append(framing)
        if says_connection:
            connection.closing = True  # the only thing that is ever said of it
        elif connection.closing:
            parts.append(b"connection: close\r\n")
        parts.append(b"\r\n")
        return b"".join(parts)


def _chunk(piece: bytes) -> bytes:
    """``piece`` as a chunk of a body."""
    size = len(piece)
    return (_CHUNK_SIZES[size] if size < _CHUNK_SIZES_KEPT else b"%x\r\n" % size) + piece + b"\r\n"


def _speaks_of_connection(headers: Sequence[Header]) -> bool:
    for name, _ in headers:  # noqa: SIM110 - as a generator expression it costs several times as much
        if name == b"connection":
            return True
    return False
