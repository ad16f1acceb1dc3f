"""The whole system as processes: the gateway with its embedded store, before doubles of vLLM servers."""

import os
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

from tests.acceptance.gateway_process import GatewayProcess, free_port
from tests.doubles.openai_upstream import OpenAIUpstream

KEY = "tg-demo-4f1d7c2b9a"
NARROW_KEY = "tg-narrow-77aa01e3"
UPSTREAM_KEY = "upstream-secret-5c0ffee"
ROUTING_MODEL = "meta-llama/Llama-3.1-8B-Instruct"
REASONING_MODEL = "hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4"
FLAKY_MODEL = "org/flaky-8b"
SLOT_MODEL = "org/one-slot-8b"
DEAD_MODELS = ("org/dead-8b", "org/lonely-8b")
ENVIRONMENT = {"TEST_KEY": KEY, "TEST_NARROW_KEY": NARROW_KEY, "TEST_UPSTREAM_KEY": UPSTREAM_KEY}
DEMO = {"name": "demo", "key": "env:TEST_KEY"}
TIER_OUTPUT = 256
NARROW = {"name": "narrow", "key": "env:TEST_NARROW_KEY", "tiers": ["routing"]}
_LOG = pytest.StashKey[list[GatewayProcess]]()

StartGateway = Callable[..., GatewayProcess]
"""Takes a tier map, and ``waits_for`` and further ``environment`` as ``GatewayProcess`` does."""


def tier(url: str, model: str, **more: object) -> dict[str, Any]:
    """One tier of a tier map, small and cheap unless ``more`` says otherwise."""
    return {
        "model": model,
        "endpoints": [{"url": url, "api_key": "env:TEST_UPSTREAM_KEY"}],
        "price": {"input": 1, "output": 2},
        "context": 8192,
        "output": TIER_OUTPUT,
        "slots": 16,
        "queue": {"length": 100, "wait": "10s"},
        "timeouts": {"connect": "2s", "headers": "10s", "idle": "5s", "total": "30s"},
        **more,
    }


def tier_map(tiers: Mapping[str, Any], **more: object) -> dict[str, Any]:
    """A tier map around ``tiers`` with one key for all of them."""
    return {"version": 1, "store": "embedded", "tiers": dict(tiers), "keys": [DEMO], **more}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what its gateway logged."""
    report = yield
    if report.failed:
        arguments = getattr(item, "funcargs", {})
        processes = [one for one in arguments.values() if isinstance(one, GatewayProcess)]
        for process in processes + item.stash.get(_LOG, []):
            report.sections.append(("gateway log", process.log()))
    return report


@pytest.fixture(scope="session")
def gateway_python() -> str:
    """The interpreter that has the gateway installed."""
    return os.environ.get("TIERGATE_GATEWAY_PYTHON", sys.executable)


@pytest.fixture(scope="session")
def routing_upstream() -> Iterator[OpenAIUpstream]:
    """The endpoint of every tier but ``reasoning``; it wants a key."""
    models = (ROUTING_MODEL, FLAKY_MODEL, SLOT_MODEL)
    with OpenAIUpstream(models=models, api_key=UPSTREAM_KEY).in_thread() as running:
        yield running


@pytest.fixture(scope="session")
def reasoning_upstream() -> Iterator[OpenAIUpstream]:
    """The endpoint of the tier ``reasoning``; it wants no key."""
    with OpenAIUpstream(models=(REASONING_MODEL,)).in_thread() as running:
        yield running


@pytest.fixture(scope="session")
def shared_gateway(
    tmp_path_factory: pytest.TempPathFactory,
    gateway_python: str,
    routing_upstream: OpenAIUpstream,
    reasoning_upstream: OpenAIUpstream,
) -> Iterator[GatewayProcess]:
    """One gateway for all tests that do not break it."""
    dead = f"http://127.0.0.1:{free_port()}/v1"
    url = routing_upstream.url
    reasoning = tier(reasoning_upstream.url, REASONING_MODEL, gpu="A100 80GB")
    del reasoning["price"]
    reasoning["endpoints"] = [{"url": reasoning_upstream.url}]
    tiers = {
        "routing": tier(url, ROUTING_MODEL, aliases=["gpt-4.1-mini", "small"]),
        "reasoning": reasoning,
        "flaky": tier(url, FLAKY_MODEL, fallback=["reasoning"]),
        "dead": tier(dead, DEAD_MODELS[0], fallback=["reasoning"]),
        "lonely": tier(dead, DEAD_MODELS[1]),
        "one-slot": tier(url, SLOT_MODEL, slots=1, queue={"length": 1, "wait": "200ms"}),
    }
    routes = [
        {"name": "thinkers", "when": {"agent": ["thinker", "analyst-*"]}, "tier": "reasoning"},
        {"name": "default", "tier": "routing"},
    ]
    budgets = [
        {"name": "paupers", "owner": {"agent": "pauper-*"}, "limit": "1 requests", "window": "30d"},
        {"name": "savers", "owner": {"agent": "saver-*"}, "limit": "1 USD", "window": "30d"},
    ]
    with GatewayProcess(
        tmp_path_factory.mktemp("gateway"),
        tier_map(tiers, routes=routes, budgets=budgets, keys=[DEMO, NARROW]),
        key=KEY,
        python=gateway_python,
        environment=ENVIRONMENT,
    ) as running:
        yield running


@pytest.fixture
def gateway(
    shared_gateway: GatewayProcess, routing_upstream: OpenAIUpstream, reasoning_upstream: OpenAIUpstream
) -> GatewayProcess:
    """The shared gateway, its doubles without memory of earlier tests."""
    routing_upstream.forget()
    reasoning_upstream.forget()
    return shared_gateway


@pytest.fixture
def start_gateway(request: pytest.FixtureRequest, tmp_path: Path, gateway_python: str) -> Iterator[StartGateway]:
    """Start a gateway of the test's own; it is stopped after the test."""
    started: list[GatewayProcess] = []
    request.node.stash[_LOG] = started

    def start(
        description: Mapping[str, Any], *, waits_for: str = "/readyz", environment: Mapping[str, str] | None = None
    ) -> GatewayProcess:
        directory = tmp_path / f"gateway-{len(started)}"
        directory.mkdir()
        process = GatewayProcess(
            directory,
            description,
            key=KEY,
            python=gateway_python,
            environment={**ENVIRONMENT, **(environment or {})},
            waits_for=waits_for,
        )
        process.__enter__()
        started.append(process)
        return process

    yield start
    for process in reversed(started):
        process.__exit__()


@pytest.fixture
def run() -> str:
    """A name for one run, so that a test finds its own requests in the gateway's records."""
    return f"run-{uuid.uuid4().hex}"


@pytest.fixture
def client(gateway: GatewayProcess, run: str) -> Iterator[OpenAI]:
    """The SDK with its own defaults but for the address, the key and the run."""
    headers = {"x-tiergate-run": run}
    with OpenAI(base_url=gateway.url, api_key=KEY, default_headers=headers) as opened:
        yield opened


@pytest.fixture
async def async_client(gateway: GatewayProcess, run: str) -> AsyncIterator[AsyncOpenAI]:
    """As ``client``, asynchronous."""
    headers = {"x-tiergate-run": run}
    async with AsyncOpenAI(base_url=gateway.url, api_key=KEY, default_headers=headers) as opened:
        yield opened
