"""A webhook is told of a spent budget, once, by whichever of several gateways."""

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from openai import AsyncOpenAI

from tests.acceptance.conftest import KEY, ROUTING_MODEL, UPSTREAM_KEY, StartGateway, tier, tier_map
from tests.acceptance.gateway_process import GatewayProcess
from tests.acceptance.store_process import StoreProcess
from tests.doubles.openai_upstream import OpenAIUpstream
from tests.doubles.scripted_server import Close, Receive, ScriptedServer, Send
from tests.stores import eventually

pytestmark = pytest.mark.acceptance

BOUND_SECONDS = 30.0
HELLO: Any = [{"role": "user", "content": "hello"}]
TOLD = [
    ("monthly", "writer", 50, 4),
    ("monthly", "writer", 100, 4),
    ("rolling", "writer", 50, 4),
    ("rolling", "writer", 100, 4),
]
TAKES = (Receive(), Send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), Close())


@pytest.fixture(scope="module")
def upstream() -> Iterator[OpenAIUpstream]:
    with OpenAIUpstream(models=(ROUTING_MODEL,), api_key=UPSTREAM_KEY).in_thread() as running:
        yield running


async def call(gateway: GatewayProcess, agent: str) -> None:
    """One request that is served."""
    async with AsyncOpenAI(
        base_url=gateway.url, api_key=KEY, max_retries=0, default_headers={"x-tiergate-agent": agent}
    ) as client:
        await client.chat.completions.create(model="routing", messages=HELLO)


async def test_two_gateways_on_one_store_tell_it_once(upstream: OpenAIUpstream, start_gateway: StartGateway) -> None:
    async with ScriptedServer(TAKES) as hook:
        alerts = {"at": ["50%", "100%"], "webhook": f"http://127.0.0.1:{hook.port}/hook?sig=very-secret"}
        asks = {"owner": {"agent": "*"}, "limit": "4 requests", "alerts": alerts}
        budgets = [
            {"name": "monthly", "window": "1mo", "timezone": "Europe/Berlin", **asks},
            {"name": "rolling", "window": "1h", "rolling": True, **asks},
        ]
        with StoreProcess() as store:
            store.start()
            tiers = {"routing": tier(upstream.url, ROUTING_MODEL)}
            described = tier_map(tiers, budgets=budgets, store=store.url)
            gateways = [start_gateway(described), start_gateway(described)]
            for gateway in gateways:
                await asyncio.gather(*(call(gateway, "writer") for _ in range(2)))
            await call(gateways[0], "router")
            await eventually(
                lambda: sum(len(each.events("alert.sent")) for each in gateways) >= len(TOLD), BOUND_SECONDS
            )
        told = [msgspec.json.decode(request.partition(b"\r\n\r\n")[2]) for request in hook.requests]
        assert sorted((each["budget"], each["owner"], each["percent"], each["settled"]) for each in told) == TOLD
        assert {each["budget"]: each["window_ends"] is None for each in told} == {"monthly": False, "rolling": True}
        assert hook.requests[0].startswith(b"POST /hook?sig=very-secret HTTP/1.1\r\n")
        assert not any("very-secret" in gateway.log() for gateway in gateways)
