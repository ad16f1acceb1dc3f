"""The store moves to another server while the gateway serves: nobody waits long, and every cost is booked once."""

import asyncio
import contextlib
import http.client
import threading
import time
from collections.abc import Callable
from typing import Any, Self

import pytest

from tests.acceptance.conftest import ROUTING_MODEL, UPSTREAM_KEY, StartGateway, tier, tier_map
from tests.acceptance.gateway_process import Answer, GatewayProcess
from tests.doubles.openai_behaviour import Behaviour
from tests.doubles.openai_upstream import OpenAIUpstream
from tests.store_servers import HOST, SERVICE, cluster, move_slot_at_once, owner_of, server, watched

pytestmark = pytest.mark.acceptance

BODY: Any = {"model": "routing", "messages": [{"role": "user", "content": "hello"}]}
CALLERS = 4
SLOWEST_SECONDS = 10.0
RECOVERY_SECONDS = 20.0
KEY = "{tiergate}:deadlines"


def started(start_gateway: StartGateway, upstream: OpenAIUpstream, store: str, **more: object) -> GatewayProcess:
    """A gateway with one budget for everything."""
    budgets = [{"name": "money", "owner": {"all": "*"}, "limit": "1 USD", "window": "30d"}]
    tiers = {"routing": tier(upstream.url, ROUTING_MODEL, **more)}
    return start_gateway(tier_map(tiers, store=store, budgets=budgets))


class Callers:
    """Threads that call the gateway again and again, from entry to exit; ``answers`` and the ``slowest`` in seconds."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self.answers: list[Answer] = []
        self.slowest = 0.0
        self._gateway = gateway
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def served(self) -> int:
        """How many were served; each other one was told that the store is away."""
        refused = [one for one in self.answers if one.status != 200]
        assert {(one.status, one.code) for one in refused} <= {(503, "store_unavailable")}
        return len(self.answers) - len(refused)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait while they call."""
        async with asyncio.timeout(RECOVERY_SECONDS):
            while not condition():  # noqa: ASYNC110 - what is waited for is in threads
                await asyncio.sleep(0.02)

    def _call(self) -> None:
        while not self._over.is_set():
            begun = time.monotonic()
            self.answers.append(self._gateway.call("POST", "/v1/chat/completions", BODY))
            self.slowest = max(self.slowest, time.monotonic() - begun)
            self._over.wait(0.01)


def left_waiting(gateway: GatewayProcess) -> threading.Thread:
    """A caller whose gateway will not answer any more."""

    def call() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            gateway.call("POST", "/v1/chat/completions", BODY)

    thread = threading.Thread(target=call)
    thread.start()
    return thread


def worst_of_one(gateway: GatewayProcess, upstream: OpenAIUpstream) -> int:
    """What is held of the budget for one request; it is booked once this returns."""
    upstream.script(Behaviour(delay_seconds=0.5))
    waiting = left_waiting(gateway)
    gateway.wait_until(lambda: gateway.budget("money")["held"] > 0)
    held = gateway.budget("money")["held"]
    waiting.join()
    gateway.nothing_held("money")
    return int(held)


def booked(gateway: GatewayProcess, microdollars: int) -> None:
    """Wait until so much is booked, also of what had no reservation: no more, and nothing held."""
    gateway.wait_until(lambda: gateway.budget("money")["settled"] >= microdollars, seconds=RECOVERY_SECONDS)
    assert gateway.nothing_held("money")["settled"] == microdollars


def cost_of_one(gateway: GatewayProcess) -> int:
    """What one request costs; it is booked once this returns."""
    assert gateway.call("POST", "/v1/chat/completions", BODY).status == 200
    cost = gateway.nothing_held("money")["settled"]
    assert cost > 0
    return int(cost)


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_master_that_fails_is_replaced_and_every_request_is_booked_once(
    hangs: bool,
    start_gateway: StartGateway,
) -> None:
    """Those that came in between were served by the new one, or refused in time and never sent to an endpoint."""
    with OpenAIUpstream(models=(ROUTING_MODEL,), api_key=UPSTREAM_KEY).in_thread() as upstream:
        async with watched("valkey") as trio:
            store = f"redis+sentinel://{HOST}:{trio.sentinel.port}/{SERVICE}"
            gateway = await asyncio.to_thread(started, start_gateway, upstream, store)
            cost = await asyncio.to_thread(cost_of_one, gateway)
            await trio.in_step()
            if hangs:
                trio.master.stop()
            else:
                trio.master.kill()
            with Callers(gateway) as callers:
                await callers.until(lambda: callers.served > 20)
            assert callers.slowest < SLOWEST_SECONDS
            assert await trio.master_port() == trio.replica.port
            after = await asyncio.to_thread(gateway.nothing_held, "money", seconds=RECOVERY_SECONDS)
            assert len(upstream.posts) == callers.served + 1
            assert after["settled"] == cost * (callers.served + 1)


async def test_in_a_cluster_the_slot_moves_at_once_under_load_and_every_request_is_booked_once(
    start_gateway: StartGateway,
) -> None:
    """With Valkey's way to move a slot as a whole."""
    with OpenAIUpstream(models=(ROUTING_MODEL,), api_key=UPSTREAM_KEY).in_thread() as upstream:
        async with cluster("valkey") as nodes:
            owner = await owner_of(nodes, KEY)
            other = next(node for node in nodes if node is not owner)
            store = f"redis+cluster://{HOST}:{other.port}"
            gateway = await asyncio.to_thread(started, start_gateway, upstream, store)
            cost = await asyncio.to_thread(cost_of_one, gateway)
            with Callers(gateway) as callers:
                await callers.until(lambda: callers.served > 20)
                await move_slot_at_once(nodes, KEY, other)
                moved_at = len(callers.answers)
                await callers.until(lambda: callers.served > moved_at + 20)
            assert callers.slowest < SLOWEST_SECONDS
            after = await asyncio.to_thread(gateway.nothing_held, "money", seconds=RECOVERY_SECONDS)
            assert len(upstream.posts) == callers.served + 1
            assert after["settled"] == cost * (callers.served + 1)


async def test_while_the_store_hangs_an_open_tier_serves_at_once_and_books_it_afterwards(
    start_gateway: StartGateway,
) -> None:
    """Only the first ones wait for the store."""
    with OpenAIUpstream(models=(ROUTING_MODEL,), api_key=UPSTREAM_KEY).in_thread() as upstream:
        async with server("valkey") as store:
            url, outage = f"redis://{HOST}:{store.port}", {"open": "1 USD"}
            gateway = await asyncio.to_thread(started, start_gateway, upstream, url, outage=outage)
            cost = await asyncio.to_thread(cost_of_one, gateway)
            store.stop()
            with Callers(gateway) as callers:
                await callers.until(lambda: callers.served > CALLERS)
                callers.slowest = 0.0
                known = callers.served
                await callers.until(lambda: callers.served > known + 20)
                assert callers.slowest < 1
                store.go_on()
                known = callers.served
                await callers.until(lambda: callers.served > known + 20)
            assert len(callers.answers) == callers.served
            assert len(upstream.posts) == callers.served + 1
            await asyncio.to_thread(booked, gateway, cost * (callers.served + 1))


async def test_a_gateway_that_is_killed_while_the_store_is_away_loses_nothing(start_gateway: StartGateway) -> None:
    """What it served is booked by the next one at its cost, what was still running at its worst case; each once."""
    with OpenAIUpstream(models=(ROUTING_MODEL,), api_key=UPSTREAM_KEY).in_thread() as upstream:
        async with server("valkey") as store:
            url, outage = f"redis://{HOST}:{store.port}", {"open": "1 USD"}
            gateway = await asyncio.to_thread(started, start_gateway, upstream, url, outage=outage)
            cost = await asyncio.to_thread(cost_of_one, gateway)
            worst = await asyncio.to_thread(worst_of_one, gateway, upstream)
            store.stop()
            with Callers(gateway) as callers:
                await callers.until(lambda: callers.served > 3 * CALLERS)
            posts = len(upstream.posts)
            assert posts == callers.served + 2
            upstream.script(Behaviour(silent=True))
            waiting = left_waiting(gateway)
            await callers.until(lambda: len(upstream.posts) > posts)
            gateway.kill()
            waiting.join()
            store.go_on()
            await asyncio.to_thread(gateway.__enter__)
            settled = cost * posts + worst
            await asyncio.to_thread(booked, gateway, settled)
            await asyncio.to_thread(gateway.kill)
            await asyncio.to_thread(gateway.__enter__)
            after = await asyncio.to_thread(gateway.nothing_held, "money", seconds=RECOVERY_SECONDS)
            assert after["settled"] == settled
            assert len(gateway.events("journal.adopted")) == 1
