"""A real uvicorn server with the front before it, a pipeline that records, and clients on raw sockets."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.types import Receive, Scope, Send

from gateway.downstream import AsgiClient, Client, send_error
from gateway.errors import ClientDisconnected, GatewayError
from gateway.front.client import HotClient
from gateway.front.door import CONNECTIONS_MAX
from gateway.front.protocol import protocol_of
from gateway.wire.headers import Header
from gateway.wire.operations import OPERATIONS
from gateway.wire.request_head import RequestHead

BOUND_SECONDS = 10.0
HEALTHZ = b"GET /healthz HTTP/1.1\r\nhost: gateway\r\n\r\n"
Answer = Callable[[Client, bytes], Awaitable[None]]


async def echo(client: Client, body: bytes) -> None:
    """Answer with the request's body."""
    await client.send_whole(200, [(b"content-type", b"text/plain")], body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A request that reached the pipeline with its whole body."""

    path: str
    headers: list[Header]
    body: bytes
    hot: bool


@dataclass
class RecordingPipeline:
    """Fulfils ``gateway.front.protocol.Serving``: reads the body, remembers the request, answers as it was told.

    ``ended`` has one entry for each request that is over: ``None``, or what it ended with.
    """

    answer: Answer = echo
    body_bytes_max: int = 1 << 30
    begun: int = 0
    served: list[Served] = field(default_factory=list)
    ended: list[BaseException | None] = field(default_factory=list)

    async def serve(self, head: RequestHead, client: Client) -> None:
        """See ``gateway.pipeline.Pipeline.serve``."""
        self.begun += 1
        client.headers.append((b"x-request-id", str(self.begun).encode()))
        ending: BaseException | None = None
        try:
            body = await client.body(self.body_bytes_max)
            hot = isinstance(client, HotClient)
            self.served.append(Served(path=head.operation.path, headers=list(head.headers), body=body, hot=hot))
            with client.present():
                await self.answer(client, body)
        except GatewayError as error:
            ending = error
            await send_error(client, error)
        except BaseException as error:
            ending = error
            raise
        finally:
            self.ended.append(ending)

    @property
    def left(self) -> int:
        """How many requests ended because their client left."""
        return sum(isinstance(ending, ClientDisconnected) for ending in self.ended)


class Application:
    """What uvicorn's own protocol serves: operations through the same pipeline, and the path on all others."""

    def __init__(self, pipeline: RecordingPipeline) -> None:
        self._pipeline = pipeline
        self.others: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        operation = OPERATIONS.get(scope["path"]) if scope["method"] == "POST" else None
        if operation is not None:
            head = RequestHead(operation, scope["headers"])
            await self._pipeline.serve(head, AsgiClient(receive, send, declared=head.content_length))
            return
        client = AsgiClient(receive, send)
        self.others.append(scope["path"])
        body = await client.body(1 << 30)
        await client.send_whole(200, [], scope["path"].encode() + body)


class UnsignalledServer(uvicorn.Server):
    """Uvicorn that leaves signals alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing is captured."""
        yield


@dataclass
class Running:
    """A server that runs."""

    port: int
    server: uvicorn.Server
    pipeline: RecordingPipeline
    application: Application

    @asynccontextmanager
    async def connect(self, *, receive_bytes: int | None = None) -> AsyncIterator["RawClient"]:
        """A connection; ``receive_bytes`` makes the client's receive buffer small."""
        near = socket.socket()
        if receive_bytes is not None:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        near.setblocking(False)
        await asyncio.get_running_loop().sock_connect(near, ("127.0.0.1", self.port))
        client = RawClient(*await asyncio.open_connection(sock=near, limit=1024))
        try:
            yield client
        finally:
            await client.leave()


class RawClient:
    """Sends bytes and reads answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes) -> None:
        """Send each piece in a packet of its own, as far as a client can."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0.002 if len(pieces) > 1 else 0)

    async def answer(self) -> tuple[int, dict[bytes, bytes], bytes]:
        """The next answer: status, headers and body."""
        async with asyncio.timeout(BOUND_SECONDS):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[:-2]
            headers = dict(line.split(b": ", 1) for line in lines[1:])
            if b"content-length" in headers:
                body = await self.reader.readexactly(int(headers[b"content-length"]))
            else:
                body = b"".join([chunk async for chunk in self._chunks()])
        return int(lines[0].split()[1]), headers, body

    async def _chunks(self) -> AsyncIterator[bytes]:
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            yield await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        assert await self.reader.readexactly(2) == b"\r\n"

    async def ask(self, data: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
        """Send and read the answer."""
        await self.send(data)
        return await self.answer()

    async def rest(self) -> bytes:
        """Everything up to the connection's end."""
        async with asyncio.timeout(BOUND_SECONDS):
            with contextlib.suppress(ConnectionResetError):
                return await self.reader.read(-1)
            return b""

    async def leave(self) -> None:
        """Close."""
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


@asynccontextmanager
async def served(
    answer: Answer = echo,
    *,
    body_bytes_max: int = 1 << 30,
    keep_alive_seconds: int = 75,
    hot: bool = True,
    connections_max: int = CONNECTIONS_MAX,
) -> AsyncIterator[Running]:
    """A server on a free port, stopped at the end. Without ``hot`` it is uvicorn alone."""
    pipeline = RecordingPipeline(answer=answer, body_bytes_max=body_bytes_max)
    application = Application(pipeline)
    config = uvicorn.Config(
        application,
        http=protocol_of(pipeline, connections_max=connections_max) if hot else "httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=keep_alive_seconds,
        timeout_graceful_shutdown=5,
    )
    server = UnsignalledServer(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listener]))
            await until(lambda: server.started)
            try:
                yield Running(port, server, pipeline, application)
            finally:
                server.should_exit = True


def plain(body: bytes = b"hello", *, path: str = "/v1/chat/completions", more: bytes = b"") -> bytes:
    """A plain request; ``more`` are further header lines."""
    return b"POST %b HTTP/1.1\r\nhost: gateway\r\n%bcontent-length: %d\r\n\r\n%b" % (
        path.encode(), more, len(body), body,
    )  # fmt: skip


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens on this loop, for ten seconds at most."""
    async with asyncio.timeout(BOUND_SECONDS):
        while not condition():  # noqa: ASYNC110 - the condition is the server's state, which sets no event
            await asyncio.sleep(0.005)
