"""The end of a server, as the clients on its connections see it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.server import Server
from gateway.settings import Settings
from tests.doubles.transport import EVENTS, FakeResponse, Gate
from tests.gateway.composed import KEY, Composed, composed
from tests.gateway.samples import ANSWER, request
from tests.stores import eventually

LINGER_SECONDS = 0.3
BOUND_SECONDS = 10.0
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
DONE = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


class Line:
    """One kept connection to the gateway, by bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, body: bytes = request(), *, plain: bool = True) -> None:
        """A call; what is not ``plain`` goes to uvicorn's own protocol."""
        framing = f"content-length: {len(body)}" if plain else "transfer-encoding: chunked"
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {KEY}\r\n{framing}\r\n\r\n"
        )
        self._writer.write(head.encode() + (body if plain else b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)))

    async def head(self) -> bytes:
        """The head of an answer."""
        async with asyncio.timeout(BOUND_SECONDS):
            return await self._reader.readuntil(b"\r\n\r\n")

    async def answer(self) -> bytes:
        """A whole answer that is not a stream."""
        head = await self.head()
        [length] = [line for line in head.split(b"\r\n") if line.startswith(b"content-length: ")]
        return head + await self._reader.readexactly(int(length[16:]))

    async def until(self, end: bytes) -> bytes:
        """What comes up to there."""
        async with asyncio.timeout(BOUND_SECONDS):
            return await self._reader.readuntil(end)

    async def closed(self) -> bool:
        """Whether nothing comes but the end."""
        async with asyncio.timeout(BOUND_SECONDS):
            return await self._reader.read() == b""

    def leave(self) -> None:
        """Close."""
        self._writer.close()


class Served:
    """A composed gateway behind a server on a free port."""

    def __init__(self, whole: Composed, server: Server, port: int) -> None:
        self.whole = whole
        self.server = server
        self.unready: list[int] = []
        self._port = port
        self._lines: list[Line] = []

    async def line(self) -> Line:
        """A connection."""
        self._lines.append(Line(*await asyncio.open_connection("127.0.0.1", self._port)))
        return self._lines[-1]

    def cut(self) -> list[int]:
        """How many requests were cut off."""
        return [line["count"] for line in self.whole.logged() if line["event"] == "requests.cut"]

    def leave(self) -> None:
        """Close every connection."""
        for line in self._lines:
            line.leave()


@asynccontextmanager
async def served(*, drain_seconds: float = BOUND_SECONDS, delay_seconds: float = 0) -> AsyncIterator[Served]:
    """Serving, and then stopped."""
    whole = composed()
    parts = whole.parts
    settings = Settings(tiers_file=Path("tiers.yaml"), drain_seconds=drain_seconds, drain_delay_seconds=delay_seconds)
    unready: list[int] = []
    server = Server(
        parts.gateway, parts.serving, settings, unready=lambda: unready.append(1),
        report=whole.lines.event,
    )  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as listener:
        subject = Served(whole, server, listener.getsockname()[1])
        subject.unready = unready
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        await eventually(lambda: server.started)
        try:
            yield subject
        finally:
            server.leave()
            async with asyncio.timeout(2 * BOUND_SECONDS):
                await serving
            subject.leave()


@pytest.fixture(autouse=True)
def linger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.server.LINGER_SECONDS", LINGER_SECONDS)


@pytest.mark.parametrize("plain", [True, False], ids=["own", "uvicorn"])
async def test_a_kept_connection_is_answered_once_more_and_an_idle_one_is_closed_later(plain: bool) -> None:
    """Whoever is sending while the server stops gets an answer, which says that it is the last."""
    async with served() as subject:
        subject.whole.transport.then(*(FakeResponse(ANSWER) for _ in range(3)))
        speaks, idles, silent = [await subject.line() for _ in range(3)]
        for line in (speaks, idles):
            line.send(plain=plain)
            assert b"connection: close" not in await line.answer()
        subject.server.leave()
        await eventually(lambda: not subject.server.servers[0].is_serving())
        loop = asyncio.get_running_loop()
        begun = loop.time()
        speaks.send(plain=plain)
        answer = await speaks.answer()
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nconnection: close\r\n" in answer
        assert await speaks.closed()
        assert loop.time() - begun < LINGER_SECONDS
        assert await idles.closed()
        assert await silent.closed()
        assert loop.time() - begun >= LINGER_SECONDS / 2
        assert subject.unready == []
    assert subject.cut() == []


@pytest.mark.parametrize("plain", [True, False], ids=["own", "uvicorn"])
async def test_an_answer_that_has_not_begun_says_that_it_is_the_last(plain: bool) -> None:
    """It is under way when the server begins to stop."""
    async with served() as subject:
        gate = Gate()
        subject.whole.transport.then(gate, FakeResponse(ANSWER))
        line = await subject.line()
        line.send(plain=plain)
        await gate.reached.wait()
        subject.server.leave()
        await eventually(lambda: not subject.server.servers[0].is_serving())
        gate.opened.set()
        answer = await line.answer()
        assert b"\r\nconnection: close\r\n" in answer
        assert await line.closed()


@pytest.mark.parametrize("plain", [True, False], ids=["own", "uvicorn"])
async def test_after_a_stream_that_had_begun_its_connection_is_kept_a_moment(plain: bool) -> None:
    """Its head could not say that it is the last: a client may send at once on the same connection."""
    async with served() as subject:
        gate = Gate()
        subject.whole.transport.then(FakeResponse(EVENT, gate, DONE, headers=EVENTS), FakeResponse(ANSWER))
        line = await subject.line()
        line.send(request(stream=True), plain=plain)
        assert b"connection" not in await line.head()
        await gate.reached.wait()
        subject.server.leave()
        await eventually(lambda: not subject.server.servers[0].is_serving())
        gate.opened.set()
        assert b"[DONE]" in await line.until(b"\r\n0\r\n\r\n")
        line.send(plain=plain)
        assert b"\r\nconnection: close\r\n" in await line.answer()
        assert await line.closed()


async def test_at_a_signal_connections_are_accepted_for_a_while() -> None:
    """Readiness flips first. A second signal ends all at once; what was under way is settled."""
    async with served(delay_seconds=600) as subject:
        gate = Gate()
        subject.whole.transport.then(FakeResponse(ANSWER), gate)
        subject.server._stop()
        assert subject.unready == [1]
        line = await subject.line()
        line.send()
        assert b"\r\nconnection: close\r\n" in await line.answer()
        other = await subject.line()
        other.send()
        await gate.reached.wait()
        subject.server._stop()
        assert await other.closed()
    assert subject.whole.ledger.resolved


async def test_what_lasts_longer_than_it_may_is_cut_and_settled() -> None:
    """The log says how much there was."""
    async with served(drain_seconds=0.2) as subject:
        gates = [Gate(), Gate()]
        subject.whole.transport.then(*gates)
        lines = [await subject.line() for _ in gates]
        for line, gate in zip(lines, gates, strict=True):
            line.send()
            await gate.reached.wait()
        subject.server.leave()
        for line in lines:
            assert await line.closed()
    assert subject.cut() == [2]
    assert [how for _, how in subject.whole.ledger.resolved] == ["settled", "settled"]
