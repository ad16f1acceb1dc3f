"""A TCP server that plays a script of raw bytes, so that a client can meet every way a server may behave."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

WAIT_SECONDS_MAX = 10.0
"""How long a test waits for something that must come."""


class Line:
    """The server's end of one connection, as the steps of a script use it."""

    def __init__(self, server: "ScriptedServer", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer


class Step(Protocol):
    """One thing that a server does."""

    async def play(self, line: Line) -> None:
        """Do it; ends with ``ConnectionError`` or ``IncompleteReadError`` where the client is gone."""


@dataclass(frozen=True, slots=True)
class Receive:
    """Read one whole request and record it. With ``body=False`` its head only."""

    body: bool = True

    async def play(self, line: Line) -> None:
        """See ``Step``."""
        head = await line.reader.readuntil(b"\r\n\r\n")
        length = 0
        for header in head.split(b"\r\n"):
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length" and self.body:
                length = int(value)
        line.server.requests.append(head + await line.reader.readexactly(length))
        line.server.changed()


@dataclass(frozen=True, slots=True)
class Send:
    """Send bytes, all at once or in pieces of ``size`` with a turn of the loop between them."""

    data: bytes
    size: int = 0

    async def play(self, line: Line) -> None:
        """See ``Step``."""
        size = self.size or len(self.data) or 1
        for start in range(0, len(self.data), size):
            line.writer.write(self.data[start : start + size])
            line.server.sent_bytes += size
            await line.writer.drain()
            if self.size:
                await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class Until:
    """Pause until the test sets the event."""

    event: asyncio.Event

    async def play(self, line: Line) -> None:
        """See ``Step``."""
        line.server.pausing += 1
        line.server.changed()
        await self.event.wait()
        line.server.pausing -= 1


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection in good order; what was not read of the client makes the kernel reset it."""

    async def play(self, line: Line) -> None:
        """See ``Step``."""
        line.writer.close()


@dataclass(frozen=True, slots=True)
class Reset:
    """Break the connection: the client sees a TCP reset."""

    async def play(self, line: Line) -> None:
        """See ``Step``."""
        endpoint = line.writer.get_extra_info("socket")
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.writer.transport.abort()


class ScriptedServer:
    """Listens on a free port of 127.0.0.1; the nth connection gets the nth script, later ones the last.

    A connection whose script is played stays open until the client closes it.

    Attributes:
        requests: Every request that was read, as bytes, in order.
        accepted: Connections so far.
        open: Connections that are not closed yet.
        pausing: Scripts that stand at an ``Until``.
        sent_bytes: What ``Send`` has handed over.
    """

    def __init__(self, *scripts: Sequence[Step], tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.accepted = self.open = self.pausing = self.sent_bytes = 0
        self.port = 0
        self._scripts = scripts
        self._tls = tls
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """A base URL that reaches the server."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, with every connection."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that must come; ``TimeoutError`` where it does not."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def changed(self) -> None:
        """A step changed what a test may wait for."""
        self._news.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._play(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self._scripts[min(self.accepted, len(self._scripts) - 1)]
        self.accepted += 1
        self.open += 1
        self.changed()
        line = Line(self, reader, writer)
        try:
            for step in script:
                await step.play(line)
            while await reader.read(65_536):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()
            self.open -= 1
            self.changed()
