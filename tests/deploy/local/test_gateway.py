"""What is asked over HTTP, against a small scripted server."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from deploy.errors import GatewayUnreadable, NotReady
from deploy.local.gateway import GatewayRecords, http_client, wait_ready

ORIGIN = "http://127.0.0.1:1"


@dataclass
class ScriptedGateway(httpx.AsyncBaseTransport):
    """Answers with each of ``answers`` in turn, the last one for ever; an exception is raised."""

    answers: list[httpx.Response | Exception]
    requests: list[httpx.Request] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer the next one."""
        self.requests.append(request)
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, content=answer.content)


@dataclass
class Waiting:
    """A child as the waiting sees it."""

    log: Path
    started_at: float
    name: str = "gateway"


def _records(*answers: httpx.Response | Exception) -> tuple[GatewayRecords, ScriptedGateway]:
    transport = ScriptedGateway(list(answers))
    return GatewayRecords(httpx.AsyncClient(transport=transport), origin=ORIGIN, key="tg-key"), transport


async def test_the_calls_of_one_run_are_asked_for_with_the_key() -> None:
    records, transport = _records(httpx.Response(200, json={"object": "list", "data": []}))
    assert await records.calls("run 1") == ()
    (request,) = transport.requests
    assert str(request.url) == f"{ORIGIN}/tiergate/v1/requests?run=run+1&limit=1000"
    assert request.headers["authorization"] == "Bearer tg-key"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (httpx.ConnectError("refused"), "failed: ConnectError"),
        (httpx.Response(401, text="no such key"), "answered 401: no such key"),
        (httpx.Response(200, text="<html>"), "answered in an unknown form"),
        (httpx.Response(200, json={"data": [{"budget": 1}]}), "answered in an unknown form"),
    ],
)
async def test_an_answer_that_cannot_be_used_is_told(answer: httpx.Response | Exception, message: str) -> None:
    """Never with the key."""
    records, _ = _records(answer)
    with pytest.raises(GatewayUnreadable, match=f"GET {ORIGIN}/tiergate/v1/budgets {message}") as caught:
        await records.balances()
    assert "tg-key" not in caught.value.message


async def test_waiting_ends_when_the_answer_is_200(tmp_path: Path) -> None:
    """Not when it is another one, or none."""
    transport = ScriptedGateway([httpx.ConnectError("x"), httpx.Response(503), httpx.Response(200)])
    said: list[str] = []
    took = await wait_ready(
        httpx.AsyncClient(transport=transport),
        Waiting(tmp_path / "g.log", asyncio.get_running_loop().time()),
        f"{ORIGIN}/readyz",
        seconds_max=10,
        say=said.append,
    )
    assert len(transport.requests) == 3
    assert 0.1 <= took < 10
    assert said == []


async def test_a_long_wait_is_told_and_ends_with_what_was_seen_last(tmp_path: Path) -> None:
    log = tmp_path / "g.log"
    log.write_text("opening the store\n", encoding="utf-8")
    said: list[str] = []
    with pytest.raises(NotReady, match=r"not ready within 0.3 s: .* last answered nothing \(ConnectErr") as caught:
        await wait_ready(
            httpx.AsyncClient(transport=ScriptedGateway([httpx.ConnectError("x")])),
            Waiting(log, asyncio.get_running_loop().time()),
            f"{ORIGIN}/readyz",
            seconds_max=0.3,
            say=said.append,
            reminder_seconds=0.1,
        )
    assert caught.value.log_tail == "opening the store"
    assert said[0] == f"gateway: still waiting after 0 s; log: {log}"
    assert len(said) == 2


@pytest.fixture
async def plain_server() -> AsyncIterator[int]:
    """A server that answers every request with 200."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.integration
async def test_no_proxy_is_asked_for_this_machine(plain_server: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with http_client() as client:
        assert (await client.get(f"http://127.0.0.1:{plain_server}/")).text == "ok"
