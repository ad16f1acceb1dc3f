"""An HTTP/2 client on the package h2, as lean as it can be written: one connection, no features."""

import asyncio
import ssl
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset

from bench.client_kinds import PATH


@dataclass(slots=True, kw_only=True)
class Answer:
    """One answer on its way; ``ended`` gets its size."""

    ended: asyncio.Future[int]
    size: int = 0
    status: bytes = field(default=b"")


class PureHttp2Client(asyncio.Protocol):
    """Fulfils ``Client``; everything that one turn of the loop brings is answered in one write."""

    def __init__(self, authority: str) -> None:
        self._authority = authority
        self._http = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self._transport: asyncio.Transport | None = None
        self._answers: dict[int, Answer] = {}
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(cls, host: str, port: int, context: ssl.SSLContext) -> "PureHttp2Client":
        """Connect, and wait for the server's settings."""
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(lambda: cls(f"{host}:{port}"), host, port, ssl=context)
        await client._ready  # noqa: SLF001 - its own
        return client

    async def post(self, body: bytes) -> int:
        """Send a chat completion and read its answer; the answer's size."""
        stream = self._http.get_next_available_stream_id()
        headers = [
            (b":method", b"POST"), (b":scheme", b"https"), (b":authority", self._authority.encode()),
            (b":path", PATH.encode()), (b"content-type", b"application/json"), (b"accept", b"*/*"),
            (b"content-length", str(len(body)).encode()),
        ]  # fmt: skip
        answer = self._answers[stream] = Answer(ended=asyncio.get_running_loop().create_future())
        self._http.send_headers(stream, headers)
        self._http.send_data(stream, body, end_stream=True)  # one frame: the bodies here are far below a window
        self._flush()
        await answer.ended
        if answer.status != b"200":
            raise RuntimeError(f"status {answer.status!r}")
        return answer.size

    async def aclose(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Loop: connected."""
        self._transport = transport  # type: ignore[assignment] # uvloop's does not derive from it
        self._http.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Loop: bytes came."""
        for event in self._http.receive_data(data):
            self._take(event)
        if not self._ready.done():
            self._ready.set_result(None)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Loop: closed."""
        for answer in self._answers.values():
            answer.ended.set_exception(exc or ConnectionResetError())

    def _take(self, event: Event) -> None:
        match event:
            case DataReceived(stream_id=stream, data=data, flow_controlled_length=length):
                self._answers[stream].size += len(data)
                self._http.acknowledge_received_data(length, stream)
            case ResponseReceived(stream_id=stream, headers=headers):
                self._answers[stream].status = dict(headers)[b":status"]
            case StreamEnded(stream_id=stream):
                answer = self._answers.pop(stream)
                answer.ended.set_result(answer.size)
            case StreamReset(stream_id=stream):
                self._answers.pop(stream).ended.set_exception(ConnectionResetError("the stream was reset"))

    def _flush(self) -> None:
        if self._transport is not None and (data := self._http.data_to_send()):
            self._transport.write(data)
