"""Budgets are exact: at a budget for five requests, of a hundred callers at once exactly five pass."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from openai import APIStatusError, AsyncOpenAI

from tests.acceptance.conftest import ENVIRONMENT, KEY, ROUTING_MODEL, UPSTREAM_KEY, StartGateway, tier, tier_map
from tests.acceptance.gateway_process import GatewayProcess
from tests.acceptance.store_process import StoreProcess
from tests.doubles.openai_behaviour import Behaviour
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.acceptance

CALLERS = 100
AFFORDABLE = 5
ANSWER_TOKENS = 10
HELLO: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def upstream() -> Iterator[OpenAIUpstream]:
    """Always answers with exactly as many tokens as the caller allows."""
    default = Behaviour(tokens=ANSWER_TOKENS, delay_seconds=0.05)
    with OpenAIUpstream(models=(ROUTING_MODEL,), api_key=UPSTREAM_KEY, default=default).in_thread() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, gateway_python: str, upstream: OpenAIUpstream
) -> Iterator[GatewayProcess]:
    """The prompt is free and an answer's token costs a tenth of a cent, so a worst case is the real cost."""
    # One try each, and no breaker in their way: what is tested here is what each try costs.
    tries = {"retry": {"attempts": 1}, "breaker": {"failures": 100}}
    tiers = {"routing": tier(upstream.url, ROUTING_MODEL, slots=64, price={"input": 0, "output": 1000}, **tries)}
    budgets = [
        {"name": "requests", "owner": {"agent": "requests-*"}, "limit": "5 requests", "window": "30d"},
        {"name": "money", "owner": {"agent": "money-*"}, "limit": "0.05 USD", "window": "30d"},
    ]
    with GatewayProcess(
        tmp_path_factory.mktemp("budgets"),
        tier_map(tiers, budgets=budgets),
        key=KEY,
        python=gateway_python,
        environment=ENVIRONMENT,
    ) as running:
        yield running


async def burst(gateway: GatewayProcess, agent: str, *, stream: bool) -> Counter[tuple[int, str]]:
    """Status and code of a hundred calls at once."""
    headers = {"x-tiergate-agent": agent}

    async def call(client: AsyncOpenAI) -> tuple[int, str]:
        body: Any = {"model": "routing", "messages": HELLO, "max_tokens": ANSWER_TOKENS, "stream": stream}
        try:
            answer = await client.chat.completions.create(**body)
        except APIStatusError as error:
            return error.status_code, str(error.code)
        if stream:
            assert [chunk async for chunk in answer]
        return 200, ""

    async with AsyncOpenAI(base_url=gateway.url, api_key=KEY, max_retries=0, default_headers=headers) as client:
        return Counter(await asyncio.gather(*(call(client) for _ in range(CALLERS))))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("budget", "cost"), [("requests", 1), ("money", 10_000)])
async def test_exactly_as_many_pass_as_the_budget_covers(
    *, gateway: GatewayProcess, upstream: OpenAIUpstream, budget: str, cost: int, stream: bool
) -> None:
    upstream.forget()
    agent = f"{budget}-{stream}"
    seen = await burst(gateway, agent, stream=stream)
    assert seen == {(200, ""): AFFORDABLE, (402, "budget_exhausted"): CALLERS - AFFORDABLE}
    assert len(upstream.posts) == AFFORDABLE
    balance = gateway.nothing_held(budget, owner=agent)
    assert balance["settled"] == balance["limit"] == AFFORDABLE * cost
    assert balance["available"] == 0
    assert balance["window_ends_in_seconds"] > 0


async def test_two_gateways_on_one_store_are_as_exact_as_one(
    upstream: OpenAIUpstream, start_gateway: StartGateway
) -> None:
    upstream.forget()
    tiers = {"routing": tier(upstream.url, ROUTING_MODEL, slots=64)}
    budgets = [{"name": "requests", "owner": {"agent": "*"}, "limit": "5 requests", "window": "30d"}]
    with StoreProcess() as store:
        store.start()
        described = tier_map(tiers, budgets=budgets, store=store.url)
        gateways = [start_gateway(described), start_gateway(described)]
        seen = await asyncio.gather(*(burst(gateway, "shared", stream=False) for gateway in gateways))
        assert seen[0] + seen[1] == {(200, ""): AFFORDABLE, (402, "budget_exhausted"): 2 * CALLERS - AFFORDABLE}
        assert len(upstream.posts) == AFFORDABLE
        assert {gateway.nothing_held("requests")["settled"] for gateway in gateways} == {AFFORDABLE}


async def test_what_a_failed_endpoint_never_did_is_given_back(
    gateway: GatewayProcess, upstream: OpenAIUpstream
) -> None:
    upstream.forget()
    upstream.script(*[Behaviour(status=503)] * CALLERS)
    agent = "money-given-back"
    seen = await burst(gateway, agent, stream=False)
    assert set(seen) <= {(503, "upstream_error"), (402, "budget_exhausted")}
    balance = gateway.nothing_held("money", owner=agent)
    assert (balance["settled"], balance["available"]) == (0, balance["limit"])


async def test_a_request_dearer_than_the_whole_budget_says_that_waiting_does_not_help(
    gateway: GatewayProcess,
) -> None:
    headers = {"x-tiergate-agent": "money-too-small"}
    body = {"model": "routing", "messages": HELLO, "max_tokens": 51}
    answer = await asyncio.to_thread(gateway.call, "POST", "/v1/chat/completions", body, headers=headers)
    assert (answer.status, answer.code) == (402, "budget_too_small")
    assert "retry-after" not in answer.headers
