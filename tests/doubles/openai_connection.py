"""One client's connection to the double: raw requests in, raw bytes out, and the moment the client left."""

import asyncio
import contextlib
import socket
import struct
import time

from tests.doubles.openai_behaviour import Received

_READ_BYTES = 65_536
_HEAD_END = b"\r\n\r\n"
_RST_LINGER = struct.pack("ii", 1, 0)
"""SO_LINGER on, zero seconds: closing then sends RST in place of FIN."""


class ClientGoneError(Exception):
    """The client closed its side; there is nobody to answer."""


class Connection:
    """A keep-alive HTTP/1.1 connection over raw streams.

    One task reads all the time, so that the client's leaving is seen while an answer is paused.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._buffer = bytearray()
        self._changed = asyncio.Event()
        self._gone = asyncio.Event()
        self.gone_at: float | None = None

    async def feed(self) -> None:
        """Read until the client leaves; runs beside the one that answers."""
        with contextlib.suppress(ConnectionError):
            while data := await self._reader.read(_READ_BYTES):
                self._buffer += data
                self._changed.set()
        self.gone_at = time.monotonic()
        self._gone.set()
        self._changed.set()

    async def request(self) -> Received:
        """The next request with its whole body.

        Raises:
            ClientGoneError: The client left before it was complete.
        """
        while _HEAD_END not in self._buffer:
            await self._more()
        head, _, _ = bytes(self._buffer).partition(_HEAD_END)
        del self._buffer[: len(head) + len(_HEAD_END)]
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        pairs = (line.partition(":") for line in lines)
        headers = [(name.lower(), value.strip()) for name, _, value in pairs]
        named = dict(headers)
        if named.get("transfer-encoding", "").lower() == "chunked":
            body = await self._chunked()
        else:
            body = await self._take(int(named.get("content-length", "0")))
        return Received(method=method, path=path, headers=headers, body=body, received_at=time.monotonic())

    async def pause(self, seconds: float | None) -> None:
        """Wait; without end where ``seconds`` is ``None``.

        Raises:
            ClientGoneError: The client left before or meanwhile.
        """
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._gone.wait(), seconds)
        if self._gone.is_set():
            raise ClientGoneError

    async def write(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            ClientGoneError: The client left before.
        """
        if self._gone.is_set():
            raise ClientGoneError
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError as error:
            raise ClientGoneError from error

    async def close(self) -> None:
        """End the connection in good manners (FIN)."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    def reset(self) -> None:
        """End the connection with RST."""
        raw: socket.socket = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_LINGER)
        self._writer.transport.abort()

    async def _more(self) -> None:
        """Wait until more was read."""
        if self._gone.is_set():
            raise ClientGoneError
        self._changed.clear()
        await self._changed.wait()

    async def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            await self._more()
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    async def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            await self._more()
        return (await self._take(end + 2))[:-2]

    async def _chunked(self) -> bytes:
        body = bytearray()
        while size := int(await self._line(), 16):
            body += await self._take(size)
            await self._line()
        await self._line()
        return bytes(body)
