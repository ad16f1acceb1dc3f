"""The server as a process: it warms up, runs the example, drains, and dies of its signal."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep

import httpx
import pytest
import uvicorn

from orchestrator.app import FlowHost
from orchestrator.serve_command import DrainingServer, ServeCommand
from orchestrator.settings import Secret, Settings
from tests.doubles.chat_server import Asked, ChatServer

ROOT = Path(__file__).parents[2]
EXAMPLE = "examples/support_triage/flow.py:SupportTriageFlow"
PATH = "/flows/SupportTriageFlow"

pytestmark = pytest.mark.integration


@contextmanager
def serving(server: ChatServer, target: str = EXAMPLE, *more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command and its origin."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "TIERGATE_URL": server.url, "TIERGATE_KEY": "sk-test-key"}
    words = [sys.executable, "-m", "orchestrator", "serve", target, "--port", str(port), *more]
    with subprocess.Popen(words, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process, f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def until(origin: str, *statuses: int) -> list[int]:
    """Ask ``/ping`` until it answers with the last of these; returns every answer on the way, each once."""
    seen: list[int] = []
    ends_at = monotonic() + 60
    while statuses[-1] not in seen:
        assert monotonic() < ends_at, seen
        try:
            status = httpx.get(f"{origin}/ping", trust_env=False).status_code
        except httpx.ConnectError:
            status = 0
        if status not in seen:
            seen.append(status)
        sleep(0.02)
    return seen


def drop(origin: str) -> None:
    """Start a run whose answer nobody wants."""
    with suppress(httpx.HTTPError):
        httpx.post(f"{origin}{PATH}", timeout=60, trust_env=False)


def triage(asked: Asked) -> str:
    """A model that sorts everything as technical."""
    return json.dumps({"about": "a technical problem"}) if asked.schema else "Fine."


def test_it_warms_up_runs_the_flow_and_drains(server: ChatServer) -> None:
    """A signal lets the run that is under way end; new ones are refused meanwhile."""
    arrived, release = Event(), Event()

    def script(asked: Asked) -> str:
        arrived.set()
        assert release.wait(60)
        return triage(asked)

    server.script = script
    answers: list[httpx.Response] = []

    def run(origin: str) -> None:
        body = {"inputs": {"customer": "Grace"}, "run": "run-1"}
        answers.append(httpx.post(f"{origin}{PATH}", json=body, timeout=60, trust_env=False))

    with serving(server) as (process, origin):
        assert until(origin, 200) == [0, 204, 200]
        running = Thread(target=run, args=(origin,))
        running.start()
        assert arrived.wait(60)
        process.send_signal(signal.SIGTERM)
        until(origin, 503)
        release.set()
        running.join(60)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
    document = answers[0].json()
    assert (answers[0].status_code, document["status"], document["run"]) == (200, "ok", "run-1")
    assert "Dear Grace," in document["output"]
    assert {asked.headers["x-tiergate-run"] for asked in server.asked} == {"run-1"}
    assert server.asked[0].headers["authorization"] == "Bearer sk-test-key"
    assert "run run-1:     0.0 s  step classify" in errors


def test_a_second_signal_does_not_wait_for_runs(server: ChatServer) -> None:
    """What is under way is dropped, with its connection to the gateway."""
    arrived, release = Event(), Event()

    def hang(_asked: Asked) -> str:
        arrived.set()
        release.wait(60)
        return "late"

    server.script = hang
    with serving(server, EXAMPLE, "--drain-seconds", "60") as (process, origin):
        until(origin, 200)
        running = Thread(target=drop, args=(origin,))
        running.start()
        assert arrived.wait(60)
        process.send_signal(signal.SIGTERM)
        until(origin, 503)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == -signal.SIGTERM
        running.join(20)
    release.set()


def test_a_flow_that_is_not_there_ends_it_with_status_2(server: ChatServer) -> None:
    with serving(server, "examples/nowhere.py:Flow") as (process, _):
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors.splitlines()[-1] == "tiergate-orchestrator: There is no file examples/nowhere.py."


def test_a_port_in_use_is_told(server: ChatServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with serving(server, EXAMPLE, "--port", port) as (process, _):
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in errors


def command(url: str) -> ServeCommand:
    """A command that is not executed."""
    settings = Settings(url=url, key=Secret("sk-test-key"))
    return ServeCommand(target=EXAMPLE, host="127.0.0.1", port=0, drain_seconds=30, settings=settings)


async def test_a_gateway_is_reachable_when_it_answers(server: ChatServer) -> None:
    assert await command(server.url)._reachable()
    assert not await command(server.url.replace("/v1", "/v2"))._reachable()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    assert not await command(f"http://127.0.0.1:{port}/v1")._reachable()


class CountedHost(FlowHost):
    """A host with as many runs as a test says."""

    def __init__(self) -> None:
        self.draining = False
        self.counted = 0

    @property
    def runs(self) -> int:
        """How many there are."""
        return self.counted


@pytest.mark.parametrize(("runs", "drain_seconds", "ends"), [(0, 60, True), (1, 60, False), (1, 0, True)])
async def test_it_ends_when_its_runs_have_or_their_time_is_over(runs: int, drain_seconds: float, ends: bool) -> None:
    host = CountedHost()
    host.counted = runs
    server = DrainingServer(uvicorn.Config(app="none"), host, drain_seconds=drain_seconds)
    assert not await server.on_tick(1)
    server.handle_exit(signal.SIGTERM, None)
    assert (host.draining, server.should_exit) == (True, False)
    assert await server.on_tick(1) is ends
    assert await server.on_tick(1) is ends
    server.handle_exit(signal.SIGTERM, None)
    assert await server.on_tick(1)
