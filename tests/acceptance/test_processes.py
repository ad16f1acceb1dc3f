"""Several processes behind one port are one gateway: for its callers, its budgets, its metrics and its end."""

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import ENVIRONMENT, KEY, ROUTING_MODEL, UPSTREAM_KEY, tier, tier_map
from tests.acceptance.gateway_process import Answer, GatewayProcess, alive, children_of
from tests.doubles.openai_behaviour import Behaviour
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.acceptance

BODY: Any = {"model": "routing", "messages": [{"role": "user", "content": "hello"}]}
ALLOWED = 10
SECONDS = 20.0


@pytest.fixture(scope="module")
def upstream() -> Iterator[OpenAIUpstream]:
    with OpenAIUpstream(models=(ROUTING_MODEL,), api_key=UPSTREAM_KEY).in_thread() as running:
        yield running


def two_processes(directory: Path, upstream: OpenAIUpstream, python: str) -> GatewayProcess:
    """A gateway of two processes with an embedded store and a budget for each agent."""
    budgets = [{"name": "few", "owner": {"agent": "pauper-*"}, "limit": f"{ALLOWED} requests", "window": "30d"}]
    return GatewayProcess(
        directory,
        tier_map({"routing": tier(upstream.url, ROUTING_MODEL)}, budgets=budgets),
        key=KEY,
        python=python,
        environment={**ENVIRONMENT, "TIERGATE_PROCESSES": "2"},
    )


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, upstream: OpenAIUpstream, gateway_python: str
) -> Iterator[GatewayProcess]:
    """One for all tests that do not end it. That it ends well, and alone, is seen at the end."""
    with two_processes(tmp_path_factory.mktemp("processes"), upstream, gateway_python) as running:
        yield running


@pytest.fixture
def own_gateway(tmp_path: Path, upstream: OpenAIUpstream, gateway_python: str) -> GatewayProcess:
    """One that the test starts."""
    return two_processes(tmp_path, upstream, gateway_python)


def ask(gateway: GatewayProcess, agent: str = "writer") -> Answer:
    """One call on a connection of its own."""
    return gateway.call("POST", "/v1/chat/completions", BODY, headers={"x-tiergate-agent": agent})


def process_of(answer: Answer) -> str:
    """What tells the process that answered from others: the beginning of its request ids."""
    found = re.fullmatch(r"req_(\w{12})\w{8}", answer.headers["x-request-id"])
    assert found is not None
    return found[1]


def events(gateway: GatewayProcess, name: str) -> list[dict[str, Any]]:
    """The log's events of that name."""
    lines = gateway.log_path.read_bytes().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == name]


def pids(gateway: GatewayProcess) -> dict[int, int]:
    """Number of each process → process id of the one that serves last."""
    return {event["process"]: event["pid"] for event in events(gateway, "process.started")}


def counted(gateway: GatewayProcess) -> float:
    """How many requests the metrics show, by whichever process answers."""
    text = gateway.call("GET", "/metrics", key=None).body.decode()
    return sum(float(each) for each in re.findall(r"^tiergate_requests_total\{.*\} (\S+)$", text, re.MULTILINE))


def test_requests_are_spread_over_the_processes(gateway: GatewayProcess) -> None:
    """By their connections; no request id is given twice, and every line of the log is whole."""
    answers = [ask(gateway) for _ in range(40)]
    assert {answer.status for answer in answers} == {200}
    assert len({process_of(answer) for answer in answers}) == 2
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 40
    gateway.wait_until(lambda: ids <= {event["request_id"] for event in events(gateway, "request.ended")})


def test_a_budget_is_one_for_all_processes(gateway: GatewayProcess) -> None:
    """So many pass as it allows, wherever they come in, and not one more."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(gateway, "pauper-1"), range(40)))
    passed = [answer for answer in answers if answer.status == 200]
    assert len(passed) == ALLOWED
    assert {answer.code for answer in answers if answer.status != 200} == {"budget_exhausted"}
    assert len({process_of(answer) for answer in answers}) == 2
    assert gateway.nothing_held("few", owner="pauper-1")["settled"] == ALLOWED


def test_the_metrics_of_any_process_are_those_of_the_gateway(gateway: GatewayProcess) -> None:
    """All requests are there soon, and a counter never goes back, whoever is asked."""
    before = counted(gateway)
    shown = [before]
    for _ in range(20):
        assert ask(gateway).status == 200
        shown.append(counted(gateway))
    assert shown == sorted(shown)
    gateway.wait_until(lambda: counted(gateway) >= before + 20)
    text = gateway.call("GET", "/metrics", key=None).body.decode()
    assert {*re.findall(r'tiergate_resident_memory_bytes\{process="(\d)"\}', text)} == {"0", "1"}
    assert 'tiergate_slots{tier="routing"} 16.0' in text
    assert "tiergate_store_up 1.0" in text


def test_a_killed_process_comes_back_and_what_it_had_counted_stays(gateway: GatewayProcess) -> None:
    """The others serve meanwhile, and its own connections wait for its successor; none is refused."""
    sent = [ask(gateway) for _ in range(20)]
    total = counted(gateway)
    before = pids(gateway)
    os.kill(before[1], signal.SIGKILL)
    answers = [ask(gateway) for _ in range(20)]
    assert {answer.status for answer in answers} == {200}
    gateway.wait_until(lambda: pids(gateway)[1] != before[1], seconds=SECONDS)
    assert pids(gateway)[0] == before[0]
    assert counted(gateway) >= total
    [died] = events(gateway, "process.died")
    assert (died["process"], died["pid"], died["exit_status"]) == (1, before[1], -signal.SIGKILL)
    found = {process_of(ask(gateway)) for _ in range(40)}
    assert len(found) == 2
    assert not found <= {process_of(answer) for answer in sent}, "the new one gives other ids"


def test_open_answers_may_end_when_the_gateway_is_stopped(
    own_gateway: GatewayProcess, upstream: OpenAIUpstream
) -> None:
    """In whichever process they are; nobody else is let in. It ends well, and nothing is left of it."""
    upstream.script(*[Behaviour(tokens=10, pace_seconds=0.1)] * 8)
    body = json.dumps({**BODY, "stream": True})
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    with own_gateway, ThreadPoolExecutor(8) as pool:
        seen = len(upstream.posts)

        def stream(_: int) -> bytes:
            with own_gateway.connection() as connection:
                connection.request("POST", "/v1/chat/completions", body, headers)
                return connection.getresponse().read()

        streams = [pool.submit(stream, number) for number in range(8)]
        upstream.wait_until(lambda: len(upstream.posts) == seen + 8)
        os.kill(own_gateway.pid, signal.SIGTERM)
        assert all(stream.result(SECONDS).endswith(b"data: [DONE]\n\n") for stream in streams)
        with pytest.raises(ConnectionError), socket.create_connection(("127.0.0.1", own_gateway.port), 5):
            pass
    assert len(events(own_gateway, "gateway.stopped")) == 1


def test_a_killed_parent_leaves_nothing_behind(own_gateway: GatewayProcess) -> None:
    """Neither a process nor the store; another gateway can take its place."""
    own_gateway.__enter__()
    children = children_of(own_gateway.pid)
    assert len(children) == 3
    assert own_gateway._process is not None
    own_gateway._process.kill()
    own_gateway._process.wait()
    own_gateway.wait_until(lambda: not any(map(alive, children)), seconds=SECONDS)
    with own_gateway:
        assert ask(own_gateway).status == 200
