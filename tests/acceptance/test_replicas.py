"""Four gateway processes on one store act as one: what they let through in all is what one of them would."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import (
    ENVIRONMENT,
    KEY,
    ROUTING_MODEL,
    SLOT_MODEL,
    UPSTREAM_KEY,
    tier,
    tier_map,
)
from tests.acceptance.gateway_process import GatewayProcess
from tests.acceptance.store_process import StoreProcess
from tests.doubles.openai_behaviour import Behaviour, Received
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.acceptance

REPLICAS = 4
CALLERS = 200
"""At each of them, at once."""
AFFORDABLE = 120
ANSWER_TOKENS = 10
COST = 10_000
"""Microdollars of an answer with so many tokens; the prompt is free."""
SLOTS = 5
AT_ONCE = 3
WORK_SECONDS = 0.05
LONG_WORK_SECONDS = 0.2
TURN_SECONDS = 0.2 + 2 * 0.05 + LONG_WORK_SECONDS
"""Until a line has its turn between processes: asked for so long in vain, two polls, and until a slot comes free."""
GAP_MAX = round(SLOTS * TURN_SECONDS / LONG_WORK_SECONDS) + SLOTS
"""How many requests of others begin meanwhile, and as many as there are slots for a machine that is busy."""

BUDGETS = [
    {"name": "money", "owner": {"agent": "money*"}, "limit": "1.2 USD", "window": "30d"},
    {"name": "calls", "owner": {"agent": "both*"}, "limit": "150 requests", "window": "30d"},
    {"name": "calls-hourly", "owner": {"agent": "both*"}, "limit": "120 requests", "window": "12h"},
    {"name": "thrifty", "owner": {"agent": "thrifty*"}, "limit": "0.2 USD", "window": "30d"},
]
LIMITS = [{"name": "few", "owner": {"agent": "capped*"}, "concurrency": AT_ONCE}]


@pytest.fixture(scope="module")
def upstream() -> Iterator[OpenAIUpstream]:
    """Answers with exactly as many tokens as the caller allows."""
    models, default = (ROUTING_MODEL, SLOT_MODEL), Behaviour(tokens=ANSWER_TOKENS, delay_seconds=WORK_SECONDS)
    with OpenAIUpstream(models=models, api_key=UPSTREAM_KEY, default=default).in_thread() as running:
        yield running


@pytest.fixture(scope="module")
def replicas(
    tmp_path_factory: pytest.TempPathFactory, gateway_python: str, upstream: OpenAIUpstream
) -> Iterator[list[GatewayProcess]]:
    """Four gateways, each with a directory and a port of its own."""
    price, line = {"input": 0, "output": 1000}, {"length": 1000, "wait": "60s"}
    tiers = {
        "wide": tier(upstream.url, ROUTING_MODEL, slots=64, price=price, queue=line),
        "narrow": tier(upstream.url, SLOT_MODEL, slots=SLOTS, price=price, queue=line),
    }
    with StoreProcess() as store:
        store.start()
        described = tier_map(tiers, budgets=BUDGETS, limits=LIMITS, store=store.url)
        started: list[GatewayProcess] = []
        try:
            for _ in range(REPLICAS):
                one = GatewayProcess(
                    tmp_path_factory.mktemp("replica"),
                    described,
                    key=KEY,
                    python=gateway_python,
                    environment=ENVIRONMENT,
                )
                started.append(one.__enter__())
            yield started
        finally:
            for one in started:
                one.__exit__()


async def ask(
    client: httpx.AsyncClient, agent: str, *, model: str = "wide", tokens: int = ANSWER_TOKENS
) -> tuple[int, str]:
    """Status and code of one call."""
    body = {"model": model, "messages": [{"role": "user", "content": f"{agent} says hello"}], "max_tokens": tokens}
    answer = await client.post("/chat/completions", json=body, headers={"x-tiergate-agent": agent})
    if answer.status_code == 402:
        assert answer.headers["x-should-retry"] == "false"
    return answer.status_code, "" if answer.is_success else str(answer.json()["error"]["code"])


class Clients:
    """An HTTP client for each gateway, with room for all callers at once."""

    def __init__(self, gateways: Sequence[GatewayProcess]) -> None:
        self.each = [
            httpx.AsyncClient(
                base_url=gateway.url,
                headers={"authorization": f"Bearer {KEY}"},
                timeout=60,
                limits=httpx.Limits(max_connections=CALLERS),
            )
            for gateway in gateways
        ]

    async def __aenter__(self) -> list[httpx.AsyncClient]:
        return self.each

    async def __aexit__(self, *_: object) -> None:
        for client in self.each:
            await client.aclose()


async def burst(gateways: Sequence[GatewayProcess], agent: str, callers: int, **more: Any) -> Counter[tuple[int, str]]:  # noqa: ANN401 - as of `ask`
    """What so many callers at each gateway got, all at once."""
    async with Clients(gateways) as clients:
        return Counter(await asyncio.gather(*(ask(one, agent, **more) for one in clients for _ in range(callers))))


def most_at_once(requests: Sequence[Received]) -> int:
    """How many requests the endpoint worked on at once, at most."""
    moments = [(request.received_at, 1) for request in requests]
    moments += [(request.ended_at or request.received_at, -1) for request in requests]
    now = most = 0
    for _, change in sorted(moments):
        now += change
        most = max(most, now)
    return most


@pytest.mark.parametrize("agent", ["money", "both"])
async def test_eight_hundred_callers_at_four_gateways_get_what_the_budget_covers_and_no_more(
    replicas: list[GatewayProcess], upstream: OpenAIUpstream, agent: str
) -> None:
    """Of several windows the tightest counts, and a refusal takes nothing of any."""
    upstream.forget()
    seen = await burst(replicas, agent, CALLERS)
    assert seen == {(200, ""): AFFORDABLE, (402, "budget_exhausted"): REPLICAS * CALLERS - AFFORDABLE}
    assert len(upstream.posts) == AFFORDABLE
    names = {"money": ["money"], "both": ["calls", "calls-hourly"]}[agent]
    for name in names:
        balance = replicas[0].nothing_held(name, owner=agent)
        assert balance["settled"] == AFFORDABLE * (COST if name == "money" else 1)
        assert {one.budget(name, owner=agent)["settled"] for one in replicas} == {balance["settled"]}


async def test_what_was_held_and_not_used_is_spent_by_others_to_the_last_request_that_fits(
    replicas: list[GatewayProcess], upstream: OpenAIUpstream
) -> None:
    """Answers are shorter than the bound that is held for them; who is refused meanwhile asks again."""
    upstream.forget()
    upstream.default = Behaviour(tokens=ANSWER_TOKENS // 2)
    limit, worst, real = 200_000, COST, COST // 2
    served: Counter[tuple[int, str]] = Counter()
    rounds = 0
    while served[200, ""] * real <= limit - worst:
        served += await burst(replicas, "thrifty", 20)
        balance = replicas[0].nothing_held("thrifty", owner="thrifty")
        assert balance["settled"] == served[200, ""] * real <= limit
        rounds += 1
        assert rounds < 20
    assert served[200, ""] == (limit - worst) // real + 1
    assert await burst(replicas, "thrifty", 1) == {(402, "budget_exhausted"): REPLICAS}


@pytest.mark.parametrize(("agent", "model", "most"), [("anyone", "narrow", SLOTS), ("capped", "wide", AT_ONCE)])
async def test_the_endpoint_never_sees_more_at_once_than_the_limit_and_all_are_served(
    replicas: list[GatewayProcess], upstream: OpenAIUpstream, agent: str, model: str, most: int
) -> None:
    """Whether it is the tier's or an owner's."""
    upstream.forget()
    seen = await burst(replicas, agent, 15, model=model)
    assert seen == {(200, ""): REPLICAS * 15}
    assert most_at_once(upstream.posts) == most


async def test_an_agent_with_many_requests_does_not_keep_another_waiting_for_all_of_them(
    replicas: list[GatewayProcess], upstream: OpenAIUpstream
) -> None:
    """Not even at a gateway that gives no slots back, while others could take each of theirs again at once."""
    upstream.forget()
    upstream.default = Behaviour(tokens=1, delay_seconds=LONG_WORK_SECONDS)
    async with Clients(replicas) as clients:
        noisy = [asyncio.create_task(ask(one, "noisy", model="narrow")) for one in clients[1:] for _ in range(80)]
        await until(lambda: len(upstream.posts) >= 2 * SLOTS)
        gaps = []
        for _ in range(5):
            before = len(upstream.posts)
            assert await ask(clients[0], "quiet", model="narrow") == (200, "")
            [own] = [i for i, post in enumerate(upstream.posts[before:]) if said_by(post, "quiet")]
            gaps.append(own)
        assert not all(task.done() for task in noisy)
        upstream.default = Behaviour(tokens=1)
        assert set(await asyncio.gather(*noisy)) == {(200, "")}
    assert max(gaps) <= GAP_MAX, gaps


def said_by(post: Received, agent: str) -> bool:
    """Whether that agent's request it was."""
    return bool(post.json()["messages"][0]["content"] == f"{agent} says hello")


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for it, while requests go on."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up
        await asyncio.sleep(0.005)
