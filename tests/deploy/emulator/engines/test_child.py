"""Real programs behind workers."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from deploy.emulator.engines.child import ChildEngine, Program
from deploy.emulator.engines.kinds import free_port
from deploy.emulator.engines.reply import Call, EngineFailed
from tests.doubles.process_ids import until

SERVER = """
import os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/die":
            os._exit(3)
        self.send_response(200)
        if self.path == "/endless":
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"token ")
            except OSError:
                print("the caller has left", file=sys.stderr, flush=True)
            return
        self.send_header("content-length", "100" if self.path == "/break" else "2")
        self.send_header("x-kept", "yes")
        self.end_headers()
        self.wfile.write(b"ok")
        self.wfile.flush()
        if self.path == "/break":
            os._exit(4)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(201)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[::-1])

print("listening", file=sys.stderr, flush=True)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as made:
        yield made


def engine(client: httpx.AsyncClient, folder: Path, code: str = SERVER, said: list[str] | None = None) -> ChildEngine:
    port = free_port()
    command = (sys.executable, "-c", code, str(port))
    return ChildEngine(
        Program(name="worker", command=command, environment={}, port=port, health_path="/health", log=folder / "w.log"),
        client,
        said.append if said is not None else lambda _: None,
    )


@pytest.mark.integration
async def test_a_program_is_started_asked_and_stopped(client: httpx.AsyncClient, tmp_path: Path) -> None:
    said: list[str] = []
    made = engine(client, tmp_path, said=said)
    await made.start()
    assert "listening" in said
    reply = await made.request(Call(method="POST", path="/x?y=1", headers=(("host", "other"),), body=b"abc"))
    assert (reply.status, reply.content_type) == (201, "text/plain")
    assert b"".join([piece async for piece in reply.pieces]) == b"cba"
    got = await made.request(Call(method="GET", path="/x"))
    assert ("x-kept", "yes") in got.headers
    await got.pieces.aclose()
    child = made._child
    assert child is not None
    await made.stop()
    await until(lambda: child.process.returncode is not None)


@pytest.mark.integration
async def test_a_program_that_ends_while_it_loads_has_failed_with_its_last_words(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    made = engine(client, tmp_path, "import sys; sys.exit('the model file is broken')")
    with pytest.raises(EngineFailed, match=r"the model file is broken\nworker ended \(exit status 1\)"):
        await made.start()


@pytest.mark.integration
async def test_a_program_that_dies_is_noticed(client: httpx.AsyncClient, tmp_path: Path) -> None:
    made = engine(client, tmp_path)
    await made.start()
    ending = asyncio.get_running_loop().create_task(made.ended())
    with pytest.raises(EngineFailed, match="worker does not answer"):
        await made.request(Call(method="GET", path="/die"))
    assert "exit status 3" in await ending


@pytest.mark.integration
async def test_an_answer_that_breaks_off_is_a_failure(client: httpx.AsyncClient, tmp_path: Path) -> None:
    made = engine(client, tmp_path)
    await made.start()
    reply = await made.request(Call(method="GET", path="/break"))
    with pytest.raises(EngineFailed, match="broke off"):
        [piece async for piece in reply.pieces]
    await made.stop()


@pytest.mark.integration
async def test_a_program_is_told_when_nobody_wants_its_answer_any_more(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    """By its connection's end: this is how the cancelling of a job ends an engine's generation."""
    made = engine(client, tmp_path)
    await made.start()
    reply = await made.request(Call(method="GET", path="/endless"))
    assert (await anext(reply.pieces)).startswith(b"token")
    await reply.pieces.aclose()
    await until(lambda: "the caller has left" in (tmp_path / "w.log").read_text(encoding="utf-8"))
    await made.stop()


async def test_what_was_never_started_need_not_be_stopped(client: httpx.AsyncClient, tmp_path: Path) -> None:
    made = engine(client, tmp_path)
    await made.stop()
    assert await made.ended() == "worker was never started"
