"""What the tests of the pool share: a request, an answer, and a transport that is closed in the end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.upstream.pool import HttpTransport
from gateway.upstream.transport import Headers, Transport, UpstreamRequest, UpstreamResponse
from gateway.wire.header_lines import HeaderLines
from tests.doubles.scripted_server import Receive, ScriptedServer, Send
from tiers.tiermap import Timeouts

OK = b"HTTP/1.1 200 OK\r\n"
PONG = OK + b"content-length: 4\r\n\r\npong"
RECEIVE, ANSWER = Receive(), Send(PONG)
PATIENT = Timeouts(connect=5, headers=5, idle=5)
MINUTES = 600.0


def request(
    body: bytes = b"ping", *, method: bytes = b"POST", headers: Headers = ((b"accept", b"*/*"),)
) -> UpstreamRequest:
    return UpstreamRequest(method=method, path=b"/v1/chat/completions", headers=[HeaderLines(headers)], body=body)


@asynccontextmanager
async def transport_to(
    server: ScriptedServer,
    timeouts: Timeouts = PATIENT,
    *,
    connections_max: int = 100,
    idle_max: int = 100,
    idle_seconds: float = MINUTES,
) -> AsyncIterator[HttpTransport]:
    """A transport that leaves no connection behind."""
    transport = HttpTransport(
        server.url,
        timeouts,
        connections_max=connections_max,
        idle_max=idle_max,
        idle_seconds=idle_seconds,
    )
    try:
        yield transport
    finally:
        await transport.aclose()


async def exchanged(transport: Transport, asked: UpstreamRequest | None = None) -> bytes:
    """Send, read all, give the connection back."""
    response = await transport.send(asked or request())
    try:
        return await response.read(1_000_000)
    finally:
        await response.aclose()


async def sent_late(transport: HttpTransport, go: asyncio.Event) -> UpstreamResponse:
    """Send after setting an event that a script waits for."""
    go.set()
    return await transport.send(request())
