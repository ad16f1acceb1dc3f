"""The store fails: nothing is spent without it, the gateway says so, and the balances are there after."""

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.conftest import ROUTING_MODEL, UPSTREAM_KEY, StartGateway, tier, tier_map
from tests.acceptance.gateway_process import Answer, GatewayProcess, children_of, command_of
from tests.acceptance.store_process import StoreProcess
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.acceptance

BODY: Any = {"model": "routing", "messages": [{"role": "user", "content": "hello"}]}
RECOVERY_SECONDS = 20.0


@pytest.fixture
def upstream() -> Iterator[OpenAIUpstream]:
    with OpenAIUpstream(models=(ROUTING_MODEL,), api_key=UPSTREAM_KEY).in_thread() as running:
        yield running


@pytest.fixture
def gateway(upstream: OpenAIUpstream, start_gateway: StartGateway) -> GatewayProcess:
    """A gateway of the test's own with one budget for everything."""
    budgets = [{"name": "money", "owner": {"all": "*"}, "limit": "1 USD", "window": "30d"}]
    return start_gateway(tier_map({"routing": tier(upstream.url, ROUTING_MODEL)}, budgets=budgets))


def ask(gateway: GatewayProcess) -> Answer:
    return gateway.call("POST", "/v1/chat/completions", BODY)


def store_process(gateway: GatewayProcess) -> int:
    """The process id of the gateway's embedded store."""
    (found,) = [pid for pid in children_of(gateway.pid) if "valkey" in command_of(pid)]
    return found


def refused_for_want_of_a_store(answer: Answer) -> bool:
    """Whether it is the one right refusal; any other answer but success fails."""
    if answer.status == 200:
        return False
    assert (answer.status, answer.code) == (503, "store_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    return True


def test_a_killed_store_comes_back_with_its_balances(gateway: GatewayProcess, upstream: OpenAIUpstream) -> None:
    for _ in range(3):
        assert ask(gateway).status == 200
    before = gateway.nothing_held("money")
    assert before["settled"] > 0
    killed = store_process(gateway)
    os.kill(killed, signal.SIGKILL)
    served_before = len(upstream.posts)
    assert refused_for_want_of_a_store(ask(gateway))
    assert len(upstream.posts) == served_before
    gateway.wait_until(gateway.ready, seconds=RECOVERY_SECONDS)
    gateway.wait_until(lambda: not refused_for_want_of_a_store(ask(gateway)), seconds=RECOVERY_SECONDS)
    after = gateway.nothing_held("money")
    served = len(upstream.posts)
    assert after["settled"] * served_before == before["settled"] * served
    assert store_process(gateway) != killed


def test_a_store_that_hangs_is_not_waited_for_without_end(gateway: GatewayProcess, upstream: OpenAIUpstream) -> None:
    """A paused process keeps its connections open and says nothing: the worst kind of failure."""
    assert ask(gateway).status == 200
    before = gateway.nothing_held("money")
    paused = store_process(gateway)
    os.kill(paused, signal.SIGSTOP)
    try:
        started = time.monotonic()
        assert refused_for_want_of_a_store(ask(gateway))
        assert time.monotonic() - started < 10
        gateway.wait_until(lambda: not gateway.ready(), seconds=10)
        ready = gateway.call("GET", "/readyz", key=None)
        assert ready.status == 503
        assert "store" in ready.body.decode()
        assert gateway.call("GET", "/healthz", key=None).status == 200
        assert len(upstream.posts) == 1
    finally:
        os.kill(paused, signal.SIGCONT)
    gateway.wait_until(gateway.ready, seconds=RECOVERY_SECONDS)
    gateway.wait_until(lambda: not refused_for_want_of_a_store(ask(gateway)), seconds=RECOVERY_SECONDS)
    after = gateway.nothing_held("money", seconds=RECOVERY_SECONDS)
    assert after["settled"] == before["settled"] * len(upstream.posts)


def test_a_store_that_is_not_there_at_start_is_waited_for_in_the_open(
    upstream: OpenAIUpstream, start_gateway: StartGateway
) -> None:
    with StoreProcess() as store:
        tiers = {"routing": tier(upstream.url, ROUTING_MODEL)}
        gateway = start_gateway(tier_map(tiers, store=store.url), waits_for="/healthz")
        assert not gateway.ready()
        assert refused_for_want_of_a_store(ask(gateway))
        assert "store" in gateway.log()
        store.start()
        gateway.wait_until(gateway.ready, seconds=RECOVERY_SECONDS)
        assert ask(gateway).status == 200


def test_balances_survive_a_restart_of_the_gateway(
    gateway: GatewayProcess,
) -> None:
    assert ask(gateway).status == 200
    before = gateway.nothing_held("money")
    gateway.__exit__()
    gateway.__enter__()
    assert gateway.budget("money")["settled"] == before["settled"]
    assert ask(gateway).status == 200
    assert gateway.nothing_held("money")["settled"] == 2 * before["settled"]
