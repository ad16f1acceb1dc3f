"""A run's own bounds are exact: of twenty calls at once exactly as many are served as the run may make."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from openai import APIStatusError, AsyncOpenAI

from tests.acceptance.conftest import ENVIRONMENT, KEY, ROUTING_MODEL, UPSTREAM_KEY, StartGateway, tier, tier_map
from tests.acceptance.gateway_process import GatewayProcess
from tests.acceptance.store_process import StoreProcess
from tests.doubles.openai_behaviour import Behaviour
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.acceptance

CALLERS = 20
ANSWER_TOKENS = 10
REFUSED = (402, "budget_exhausted")


@pytest.fixture(scope="module")
def upstream() -> Iterator[OpenAIUpstream]:
    """Always answers with exactly as many tokens as the caller allows."""
    default = Behaviour(tokens=ANSWER_TOKENS, delay_seconds=0.05)
    with OpenAIUpstream(models=(ROUTING_MODEL,), api_key=UPSTREAM_KEY, default=default).in_thread() as running:
        yield running


@pytest.fixture(scope="module")
def tiers(upstream: OpenAIUpstream) -> Mapping[str, Any]:
    """The prompt is free and an answer costs a cent, in the worst case and in fact."""
    tries = {"retry": {"attempts": 1}, "breaker": {"failures": 100}}
    return {"routing": tier(upstream.url, ROUTING_MODEL, slots=64, price={"input": 0, "output": 1000}, **tries)}


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, gateway_python: str, tiers: Mapping[str, Any]
) -> Iterator[GatewayProcess]:
    """One with no budget of its own."""
    directory = tmp_path_factory.mktemp("run-bounds")
    with GatewayProcess(directory, tier_map(tiers), key=KEY, python=gateway_python, environment=ENVIRONMENT) as running:
        yield running


async def burst(
    gateway: GatewayProcess, run: str, bounds: Mapping[str, str], *, stream: bool = False
) -> Counter[tuple[int, str]]:
    """Status and code of twenty calls at once, by the official client."""
    named = {f"x-tiergate-run-{name}": value for name, value in bounds.items()}

    async def call(client: AsyncOpenAI) -> tuple[int, str]:
        hello = [{"role": "user", "content": "hello"}]
        body: Any = {"model": "routing", "messages": hello, "max_tokens": ANSWER_TOKENS, "stream": stream}
        try:
            answer = await client.chat.completions.create(**body)
        except APIStatusError as error:
            told = run in error.message and error.response.headers["x-should-retry"] == "false"
            return error.status_code, str(error.code) if told else f"does not name {run}, or is worth a retry"
        if stream:
            assert [chunk async for chunk in answer]
        return 200, ""

    # The client's own retries are left on: a refusal is none of its business.
    headers = {"x-tiergate-run": run, **named}
    async with AsyncOpenAI(base_url=gateway.url, api_key=KEY, default_headers=headers) as client:
        return Counter(await asyncio.gather(*(call(client) for _ in range(CALLERS))))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("bounds", "served"),
    [
        ({"max-calls": "7"}, 7),
        ({"max-usd": "0.05"}, 5),
        ({"max-usd": "0.049999"}, 4),
        ({"max-usd": "0.05", "max-calls": "3"}, 3),
    ],
    ids=str,
)
async def test_exactly_as_many_calls_reach_the_endpoint_as_the_run_may_make(
    *, gateway: GatewayProcess, upstream: OpenAIUpstream, bounds: dict[str, str], served: int, stream: bool
) -> None:
    """Money to the microdollar; each refusal is asked for once."""
    upstream.forget()
    run = f"run-{stream}-{'-'.join(bounds.values())}"
    seen = await burst(gateway, run, bounds, stream=stream)
    assert seen == {(200, ""): served, REFUSED: CALLERS - served}
    assert len(upstream.posts) == served
    assert await burst(gateway, run, bounds) == {REFUSED: CALLERS}, "nothing comes back"


async def test_two_gateways_on_one_store_are_as_exact_as_one(
    upstream: OpenAIUpstream, tiers: Mapping[str, Any], start_gateway: StartGateway
) -> None:
    upstream.forget()
    with StoreProcess() as store:
        store.start()
        gateways = [start_gateway(tier_map(tiers, store=store.url)) for _ in range(2)]
        seen = await asyncio.gather(*(burst(gateway, "shared", {"max-calls": "7"}) for gateway in gateways))
        assert seen[0] + seen[1] == {(200, ""): 7, REFUSED: 2 * CALLERS - 7}
        assert len(upstream.posts) == 7


async def test_runs_do_not_spend_each_others_bounds(gateway: GatewayProcess, upstream: OpenAIUpstream) -> None:
    upstream.forget()
    seen = await asyncio.gather(*(burst(gateway, f"own-{number}", {"max-calls": "2"}) for number in range(3)))
    assert seen == [{(200, ""): 2, REFUSED: CALLERS - 2}] * 3


async def test_what_an_endpoint_failed_to_answer_does_not_count(
    gateway: GatewayProcess, upstream: OpenAIUpstream
) -> None:
    upstream.forget()
    upstream.script(Behaviour(status=503), Behaviour(status=503))
    statuses = []
    for _ in range(4):
        headers = {"x-tiergate-run": "unlucky", "x-tiergate-run-max-calls": "1"}
        body = {"model": "routing", "messages": [{"role": "user", "content": "hello"}]}
        answer = await asyncio.to_thread(gateway.call, "POST", "/v1/chat/completions", body, headers=headers)
        statuses.append(answer.status)
    assert statuses == [503, 503, 200, 402]


async def test_after_its_deadline_nothing_of_a_run_reaches_the_endpoint(
    gateway: GatewayProcess, upstream: OpenAIUpstream
) -> None:
    upstream.forget()
    seen = await burst(gateway, "late", {"deadline": f"{time.time() - 1:.3f}"})
    assert seen == {(403, "run_deadline_passed"): CALLERS}
    assert not upstream.posts
    upstream.script(*[Behaviour(silent=True)] * CALLERS)
    begun = time.monotonic()
    seen = await burst(gateway, "ends", {"deadline": f"{time.time() + 0.5:.3f}"})
    assert seen == {(403, "run_deadline_passed"): CALLERS}
    assert time.monotonic() - begun < 10, "the tier allows thirty seconds"
