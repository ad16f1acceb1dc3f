"""The server as a process: it warms up, runs the example, drains, and dies of its signal."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any

import httpx
import pytest
import uvicorn
from redis import Redis

from orchestrator.app import FlowHost
from orchestrator.host.keep_alive import Business
from orchestrator.host.settings import HostSettings
from orchestrator.host.warm_up import KeyRefused
from orchestrator.serve_command import DrainingServer, ServeCommand
from orchestrator.settings import Secret, Settings
from orchestrator.windows import WINDOWS
from tests.doubles.chat_server import Asked, ChatServer
from tests.orchestrator.runs.redis_servers import redis_server

ROOT = Path(__file__).parents[2]
EXAMPLE = "examples/support_triage/flow.py:SupportTriageFlow"
PATH = "/flows/SupportTriageFlow"

pytestmark = pytest.mark.integration


@contextmanager
def serving(
    server: ChatServer, runs: str, *words: str, token: str = ""
) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """The command, with its runs kept at ``runs``, and a client of it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "TIERGATE_URL": server.url, "TIERGATE_KEY": "sk-test-key", "TIERGATE_RUNS": runs}
    command = [sys.executable, "-m", "orchestrator", "serve", *(words or (EXAMPLE,)), "--port", str(port)]
    with (
        subprocess.Popen(
            command, cwd=ROOT, env={**environment, "TIERGATE_APP_TOKEN": token}, stderr=subprocess.PIPE, text=True
        ) as process,
        httpx.Client(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60, headers={"x-tiergate-token": token}
        ) as client,
    ):
        try:
            yield process, client
        finally:
            process.kill()


def until(client: httpx.Client, *statuses: int) -> list[int]:
    """Ask ``/ping`` until it answers with the last of these; returns every answer on the way, each once."""
    seen: list[int] = []
    ends_at = monotonic() + 60
    while statuses[-1] not in seen:
        assert monotonic() < ends_at, seen
        try:
            status = client.get("/ping").status_code
        except httpx.ConnectError:
            status = 0
        if status not in seen:
            seen.append(status)
        sleep(0.02)
    return seen


def triage(asked: Asked) -> str:
    """A model that sorts everything as technical."""
    return json.dumps({"about": "a technical problem"}) if asked.schema else "Fine."


OWN = """
import asyncio
from crewai.flow.flow import Flow, listen, start
from orchestrator.llm import tier
from pydantic import BaseModel

class State(BaseModel):
    mine: str = ""
    heard: list[str] = []

class Own(Flow[State]):
    _skip_auto_memory = True

    @start()
    async def ask_here(self):
        self.state.heard.append(await tier("echo").acall("Who am I?"))

    @listen(ask_here)
    def ask_in_a_thread(self):
        self.state.heard.append(tier("echo").call("Who am I?"))
        return [self.state.mine, *self.state.heard]
"""
RUNS_AT_ONCE = 24


def run_side_by_side(client: httpx.Client) -> None:
    """Many runs at once: each has its own state, and its own name in the headers of its calls."""
    names = [f"own-{number}" for number in range(RUNS_AT_ONCE)]
    with ThreadPoolExecutor(RUNS_AT_ONCE) as threads:
        answers = threads.map(
            lambda name: client.post("/flows/Own", json={"run": name, "inputs": {"mine": name}}).json(), names
        )
        assert [answer["output"] for answer in answers] == [[name] * 3 for name in names]


class HeldModel:
    """The same model, which answers when a test lets it."""

    def __init__(self) -> None:
        self.arrived, self.release = Event(), Event()

    def __call__(self, asked: Asked) -> str:
        """Wait, then answer; who asks ``echo`` hears at once which run asked."""
        if asked.model == "echo":
            return asked.headers["x-tiergate-run"]
        self.arrived.set()
        assert self.release.wait(60)
        return triage(asked)


def test_it_warms_up_runs_the_flow_and_drains(server: ChatServer, tmp_path: Path) -> None:
    """A signal lets the run that is under way end; new ones are refused meanwhile."""
    server.script = held = HeldModel()
    answers: list[httpx.Response] = []
    own = tmp_path / "tg_own.py"
    own.write_text(OWN)
    with serving(server, str(tmp_path / "runs"), EXAMPLE, f"{own}:Own", token="sk-app") as (process, client):
        assert until(client, 200) == [0, 204, 200]
        assert client.post(PATH, headers={"x-tiergate-token": "sk-other"}).status_code == 401
        refused = client.post(PATH, json={"inputs": {"colour": "red"}}).json()["error"]
        assert (refused["code"], refused["problems"][0]["field"]) == ("inputs_refused", "colour")
        assert server.asked == []
        run_side_by_side(client)
        server.forget()
        body = {"inputs": {"customer": "Grace"}, "run": "run-1"}
        running = Thread(target=lambda: answers.append(client.post(PATH, json=body)))
        running.start()
        assert held.arrived.wait(60)
        process.send_signal(signal.SIGTERM)
        until(client, 503)
        held.release.set()
        running.join(60)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
    document = answers[0].json()
    assert (answers[0].status_code, document["status"], document["run"]) == (200, "succeeded", "run-1")
    assert "Dear Grace," in document["output"]
    assert {asked.headers["x-tiergate-run"] for asked in server.asked} == {"run-1"}
    assert server.asked[0].headers["authorization"] == "Bearer sk-test-key"
    lines = errors.splitlines()
    assert [line.partition(" took ")[0] for line in lines[:4]] == [
        "start-up: importing CrewAI and the Flows",
        "start-up: a first run",
        "start-up: opening the store of runs",
        "start-up: reaching the gateway",
    ]
    assert lines[-1] == "run run-1: SupportTriageFlow succeeded"
    assert "sk-" not in "".join(path.read_text() for path in (tmp_path / "runs").rglob("*.json*"))


def test_a_run_that_outlasts_the_drain_goes_on_in_another_worker(server: ChatServer, tmp_path: Path) -> None:
    """What is finished is not done again; its caller learns where to ask. The Flows come from a file."""
    held = HeldModel()

    def script(asked: Asked) -> str:
        return triage(asked) if asked.headers["x-tiergate-step"] == "classify" else held(asked)

    server.script = script
    flows = tmp_path / "flows.yaml"
    flows.write_text(f"flows: [{ROOT / EXAMPLE}]\n")
    answers: list[httpx.Response] = []
    with redis_server("valkey") as url:
        with serving(server, url, "--flows", str(flows), "--drain-seconds", "0.2") as (process, client):
            until(client, 200)
            running = Thread(target=lambda: answers.append(client.post(PATH, json={"run": "run-1"})))
            running.start()
            assert held.arrived.wait(60)
            process.send_signal(signal.SIGTERM)
            running.join(60)
            assert process.wait(30) == -signal.SIGTERM
        assert (answers[0].status_code, answers[0].json()["status"]) == (202, "queued")
        held.release.set()
        before = len(server.asked)
        with serving(server, url) as (_, client):
            until(client, 200)
            document = client.get("/runs/run-1?wait_seconds=60").json()
    assert (document["status"], document["attempts"]) == ("succeeded", 2)
    assert "classify" not in {asked.headers["x-tiergate-step"] for asked in server.asked[before:]}


def test_a_run_whose_worker_is_killed_is_ended_by_another(server: ChatServer) -> None:
    """Nobody is told of it. What was kept is not done again, and nothing is left for anybody to take."""
    held = HeldModel()

    def script(asked: Asked) -> str:
        return triage(asked) if asked.headers["x-tiergate-step"] == "classify" else held(asked)

    server.script = script
    with (
        redis_server("valkey") as url,
        Redis.from_url(url, protocol=2, decode_responses=True) as store,
        serving(server, url) as (victim, client),
    ):
        until(client, 200)
        assert client.post(f"{PATH}/runs", json={"run": "run-1"}).status_code == 202
        assert held.arrived.wait(60)
        with serving(server, url) as (_, other):
            until(other, 200)
            victim.kill()
            victim.wait(20)
            held.release.set()
            it_is_half_a_minute_later(store)
            document = other.get("/runs/run-1?wait_seconds=60").json()
            until_all_is_acknowledged(store)
    assert (document["status"], document["attempts"]) == ("succeeded", 2)
    assert [asked.headers["x-tiergate-step"] for asked in server.asked].count("classify") == 1


def until_all_is_acknowledged(store: Any) -> None:  # noqa: ANN401 - redis-py's types of answers differ
    """Nothing is left for anybody to take."""
    (stream,) = store.scan_iter("tiergate:runs:dispatch:*")
    ends_at = monotonic() + 20
    while store.xlen(stream):
        assert monotonic() < ends_at
        sleep(0.01)


def it_is_half_a_minute_later(store: Any) -> None:  # noqa: ANN401 - redis-py's types of answers differ
    """The lease of the run is over, and nobody has renewed its name. Only the sweep does not know of it."""
    store.hset("tiergate:run:{run-1}", "lease_until", 0)
    (stream,) = store.scan_iter("tiergate:runs:dispatch:*")
    (each,) = store.xpending_range(stream, "workers", "-", "+", count=10)
    store.xclaim(stream, "workers", each["consumer"], 0, [each["message_id"]], idle=60_000, justid=True)


def test_a_second_signal_does_not_wait_for_runs(server: ChatServer, tmp_path: Path) -> None:
    """What is under way is dropped, with its connection to the gateway."""
    server.script = held = HeldModel()

    def drop() -> None:
        with suppress(httpx.HTTPError):
            client.post(PATH)

    with serving(server, str(tmp_path / "runs"), EXAMPLE, "--drain-seconds", "60") as (process, client):
        until(client, 200)
        running = Thread(target=drop)
        running.start()
        assert held.arrived.wait(60)
        process.send_signal(signal.SIGTERM)
        until(client, 503)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == -signal.SIGTERM
        running.join(20)
    held.release.set()


def test_a_flow_that_is_not_there_ends_it_with_status_2(server: ChatServer, tmp_path: Path) -> None:
    with serving(server, str(tmp_path), "examples/nowhere.py:Flow") as (process, _):
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors.splitlines()[-1].startswith("tiergate-orchestrator: start-up: importing CrewAI and the Flows failed")
    assert errors.splitlines()[-1].endswith("There is no file examples/nowhere.py.")


def test_a_port_in_use_is_told(server: ChatServer) -> None:
    del server
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Exception, match=f"cannot listen on 127.0.0.1:{port}"):
            command("http://127.0.0.1:9/v1", port=port).execute(StringIO())


def command(url: str, *, port: int = 0, worker: str = "", edge_url: str = "") -> ServeCommand:
    """A command that is not executed to its end."""
    return ServeCommand(
        targets=(EXAMPLE,),
        host="127.0.0.1",
        port=port,
        drain_seconds=30,
        runs_max=8,
        settings=Settings(url=url, key=Secret("sk-test-key")),
        host_settings=HostSettings(
            runs=Path("runs"), token=Secret("sk-app"), worker=worker, edge_url=edge_url, edge_key=Secret("rpa_x")
        ),
    )


async def test_a_gateway_is_reachable_when_it_answers(server: ChatServer) -> None:
    assert await command(server.url)._unreachable() == ""
    assert "answers 404" in await command(server.url.replace("/v1", "/v2"))._unreachable()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    assert "ConnectError" in await command(f"http://127.0.0.1:{port}/v1")._unreachable()


async def test_a_gateway_that_is_reached_has_told_how_much_its_tiers_hold(server: ChatServer) -> None:
    """Nobody waits for that later."""
    server.models = {"data": [{"id": "small", "context_window": 8000}]}
    asked = command(server.url)
    await asked._unreachable()
    server.models = {"data": []}
    assert WINDOWS.of(asked.settings, "small") == 8000


async def test_a_key_that_the_gateway_refuses_is_told_at_once(server: ChatServer) -> None:
    server.models_status = 401
    with pytest.raises(KeyRefused, match="TIERGATE_KEY"):
        await command(server.url)._unreachable()


async def test_without_a_balancer_nothing_is_kept_awake() -> None:
    await command("http://127.0.0.1:9/v1")._stay_awake(Business(), say=print)


class CountedHost(FlowHost):
    """A host whose runs end when a test says so."""

    def __init__(self) -> None:
        self.draining = False
        self.asked: list[float] = []

    async def drained(self, seconds_max: float) -> None:
        """As if its runs ended, or were let go."""
        self.asked.append(seconds_max)


async def test_it_ends_when_its_runs_have_ended_or_were_let_go() -> None:
    host = CountedHost()
    server = DrainingServer(uvicorn.Config(app="none"), host, drain_seconds=7)
    assert not await server.on_tick(1)
    server.handle_exit(signal.SIGTERM, None)
    assert (host.draining, server.should_exit) == (True, False)
    assert not await server.on_tick(1)
    await asyncio.sleep(0)
    assert host.asked == [7]
    assert await server.on_tick(1)
    server.handle_exit(signal.SIGTERM, None)
    assert await server.on_tick(1)
