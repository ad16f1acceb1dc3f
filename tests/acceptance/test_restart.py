"""Processes that are replaced, and gateways that stop, under load: no client notices who reads its answers."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.acceptance.conftest import ENVIRONMENT, KEY, ROUTING_MODEL, UPSTREAM_KEY, tier, tier_map
from tests.acceptance.gateway_process import GatewayProcess, alive
from tests.doubles.openai_behaviour import Behaviour
from tests.doubles.openai_upstream import OpenAIUpstream
from tests.doubles.steady_load import SteadyLoad

pytestmark = pytest.mark.acceptance

BODY: Any = {"model": "routing", "messages": [{"role": "user", "content": "hello"}]}
SECONDS = 20.0
DELAY_SECONDS = 0.7


@pytest.fixture
def upstream() -> Iterator[OpenAIUpstream]:
    default = Behaviour(tokens=6, pace_seconds=0.02)
    with OpenAIUpstream(models=(ROUTING_MODEL,), api_key=UPSTREAM_KEY, default=default).in_thread() as running:
        yield running


def gateway_of(directory: Path, upstream: OpenAIUpstream, python: str, **environment: str) -> GatewayProcess:
    """A gateway before ``upstream``."""
    return GatewayProcess(
        directory,
        tier_map({"routing": tier(upstream.url, ROUTING_MODEL, slots=64)}),
        key=KEY,
        python=python,
        environment={**ENVIRONMENT, **environment},
    )


def stream(gateway: GatewayProcess) -> bytes:
    """One stream, to its end."""
    with gateway.connection() as connection:
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        connection.request("POST", "/v1/chat/completions", json.dumps({**BODY, "stream": True}), headers)
        return connection.getresponse().read()


def refused(port: int) -> bool:
    """Whether nobody listens."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5):
            return False
    except ConnectionRefusedError:
        return True


def test_a_rolling_restart_of_two_processes_under_load_fails_no_request(
    tmp_path: Path, gateway_python: str, upstream: OpenAIUpstream
) -> None:
    """Each is replaced by one that serves already; what is under way ends where it began, and so do idle connections.

    A stream that lasts longer than the restart keeps its old process, and nothing is left of that afterwards.
    """
    process = gateway_of(tmp_path, upstream, gateway_python, TIERGATE_PROCESSES="2")
    with process as gateway, ThreadPoolExecutor(4) as pool, SteadyLoad(gateway.port, KEY) as load:
        gateway.wait_until(
            lambda: load.tally.streams > 4 and bool(gateway.events("gateway.listening")), seconds=SECONDS
        )
        started = {event["process"]: event["pid"] for event in gateway.events("process.started")}
        before = [started[0], started[1]]
        seen = len(upstream.posts)
        upstream.script(*[Behaviour(tokens=30, pace_seconds=0.1)] * 4)
        long = [pool.submit(stream, gateway) for _ in range(4)]
        upstream.wait_until(lambda: len(upstream.posts) > seen + 4)
        os.kill(gateway.pid, signal.SIGUSR2)
        gateway.wait_until(lambda: bool(gateway.events("gateway.restarted")), seconds=SECONDS)
        answers, streams = load.tally.answers, load.tally.streams
        gateway.wait_until(
            lambda: load.tally.answers > answers + 50 and load.tally.streams > streams + 10, seconds=SECONDS
        )
        replaced = gateway.events("process.replaced")
        assert [event["process"] for event in replaced] == [0, 1]
        assert [event["before"] for event in replaced] == before
        assert all(each.result(SECONDS).endswith(b"data: [DONE]\n\n") for each in long)
        gateway.wait_until(lambda: not any(map(alive, before)), seconds=SECONDS)
        assert gateway.events("process.died") == []
        text = gateway.call("GET", "/metrics", key=None).body.decode()
        assert text.count("tiergate_resident_memory_bytes{") == 2
    assert load.tally.failures == []
    assert load.tally.closed > 0, "old processes say on their last answers that they are"


def test_a_stop_is_noticed_before_it_is_felt(tmp_path: Path, gateway_python: str, upstream: OpenAIUpstream) -> None:
    """Readiness flips at once; new connections are served a while longer, kept ones to the end of what is under way."""
    process = gateway_of(tmp_path, upstream, gateway_python, TIERGATE_DRAIN_DELAY_SECONDS=str(DELAY_SECONDS))
    go_on = Event()
    with process as gateway, ThreadPoolExecutor(4) as pool, gateway.connection() as kept, ExitStack() as last:
        last.callback(go_on.set)
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        kept.request("POST", "/v1/chat/completions", json.dumps(BODY), headers)
        answer = kept.getresponse()
        assert (answer.status, answer.getheader("connection"), bool(answer.read())) == (200, None, True)
        seen = len(upstream.posts)
        upstream.script(*[Behaviour(tokens=5, go_on=go_on)] * 4)
        long = [pool.submit(stream, gateway) for _ in range(4)]
        upstream.wait_until(lambda: len(upstream.posts) == seen + 4)
        begun = time.monotonic()
        os.kill(gateway.pid, signal.SIGTERM)
        gateway.wait_until(lambda: gateway.call("GET", "/readyz", key=None).status == 503)
        late = gateway.call("POST", "/v1/chat/completions", BODY)
        assert (late.status, late.headers["connection"]) == (200, "close")
        assert gateway.call("GET", "/healthz", key=None).headers["connection"] == "close"
        gateway.wait_until(lambda: refused(gateway.port), seconds=SECONDS)
        assert time.monotonic() - begun >= DELAY_SECONDS
        kept.request("POST", "/v1/chat/completions", json.dumps(BODY), headers)
        answer = kept.getresponse()
        assert (answer.status, answer.getheader("connection"), bool(answer.read())) == (200, "close", True)
        go_on.set()
        assert all(each.result(SECONDS).endswith(b"data: [DONE]\n\n") for each in long)
    assert gateway.events("requests.cut") == []


def test_a_second_signal_ends_open_streams_at_once(
    tmp_path: Path, gateway_python: str, upstream: OpenAIUpstream
) -> None:
    """However long they would go on; they are settled, and do not look as if they had ended well."""
    process = gateway_of(tmp_path, upstream, gateway_python, TIERGATE_PROCESSES="2")
    with ThreadPoolExecutor(1) as pool:
        with process as gateway:
            upstream.script(Behaviour(tokens=250, pace_seconds=0.1))
            long = pool.submit(stream, gateway)
            upstream.wait_until(lambda: len(upstream.posts) == 1)
            os.kill(gateway.pid, signal.SIGTERM)
            gateway.wait_until(lambda: refused(gateway.port), seconds=SECONDS)
            begun = time.monotonic()
        assert time.monotonic() - begun < 5
        assert long.exception(SECONDS) is not None
    [ended] = gateway.events("request.ended")
    assert ended["outcome"] == "disconnected"
    assert ended["cost_microdollars"] > 0


def test_streams_that_outlast_their_time_are_cut_and_settled(
    tmp_path: Path, gateway_python: str, upstream: OpenAIUpstream
) -> None:
    """The log says how many."""
    process = gateway_of(tmp_path, upstream, gateway_python, TIERGATE_DRAIN_SECONDS="0.5")
    with ThreadPoolExecutor(1) as pool:
        with process as gateway:
            upstream.script(Behaviour(tokens=250, pace_seconds=0.1))
            long = pool.submit(stream, gateway)
            upstream.wait_until(lambda: len(upstream.posts) == 1)
        assert long.exception(SECONDS) is not None
    assert [event["count"] for event in gateway.events("requests.cut")] == [1]
    [ended] = gateway.events("request.ended")
    assert ended["cost_microdollars"] > 0
