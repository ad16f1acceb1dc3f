"""A gateway process before an emulated Runpod: what its tier map says of the endpoints, and how a call goes there."""

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.acceptance.conftest import DEMO, ENVIRONMENT, tier, tier_map
from tests.acceptance.conftest import KEY as GATEWAY_KEY
from tests.acceptance.emulator_process import CONTEXT, KEY, MODEL, EmulatedEndpoint, EmulatorProcess
from tests.acceptance.fault_bench import Asked
from tests.acceptance.gateway_process import GatewayProcess

RUNPODS = ("runpod-queue", "runpod-load-balancer")
BUDGETS = [{"name": "money", "owner": {"run": "*"}, "limit": "1 USD", "window": "30d"}]
TIMEOUTS = {"connect": "2s", "headers": "10s", "idle": "5s", "total": "20s"}


def emulated_tier(endpoint: EmulatedEndpoint, transport: str, **more: object) -> dict[str, Any]:
    """A tier with one endpoint of the emulator, spoken to in that way; ``more`` are settings of the tier."""
    reached = endpoint.url if transport in RUNPODS else endpoint.openai_url
    workers = more.pop("workers", {"max": 3, "slots": 30})
    described: dict[str, Any] = {"url": reached, "transport": transport, "api_key": "env:TEST_RUNPOD_KEY"}
    if transport in RUNPODS:
        described["workers"] = workers
    model = f"openai/{MODEL}" if transport == "litellm" else MODEL
    settings = {"context": 2 * CONTEXT, "slots": 200, "queue": {"length": 400, "wait": "30s"}, "timeouts": TIMEOUTS}
    return {**tier("", model), "endpoints": [described], **settings, **more}


def gateway_before(
    emulator: EmulatorProcess,
    tiers: Mapping[str, Any],
    directory: Path,
    python: str,
    *,
    store: str = "embedded",
    processes: int = 1,
) -> GatewayProcess:
    """A gateway that has not started yet; its Runpod clock runs as fast as the emulator's."""
    environment = {
        **ENVIRONMENT,
        "TEST_RUNPOD_KEY": KEY,
        "TIERGATE_RUNPOD_SPEED": str(emulator.speed),
        "TIERGATE_PROCESSES": str(processes),
    }
    described = tier_map(tiers, store=store, budgets=BUDGETS, keys=[DEMO])
    return GatewayProcess(directory, described, key=GATEWAY_KEY, python=python, environment=environment)


def has_litellm(python: str) -> bool:
    """Whether that interpreter's gateway can have tiers of LiteLLM's."""
    script = "import importlib.util, sys; sys.exit(importlib.util.find_spec('litellm') is None)"
    return subprocess.run([python, "-c", script], check=False).returncode == 0


def ask(gateway: GatewayProcess, model: str, *, stream: bool, run: str, seconds: float = 30.0, **more: object) -> Asked:
    """One call over a connection of its own, its answer read to its end; ``more`` are fields of its body."""
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": run}], "stream": stream, **more}
    if stream:
        body["stream_options"] = {"include_usage": True}
    started = time.monotonic()
    answer = gateway.call("POST", "/v1/chat/completions", body, headers={"x-tiergate-run": run}, seconds=seconds)
    return Asked(
        stream=stream,
        status=answer.status,
        headers=answer.headers,
        body=answer.body.decode(),
        seconds=time.monotonic() - started,
    )


def check_whole(asked: Asked) -> None:
    """It is one good answer with all that belongs to one: text, one finish reason, one usage, one end."""
    assert asked.status == 200, asked.end
    assert not any("error" in event for event in asked.events), asked.end
    assert asked.text
    assert [one["finish_reason"] for one in asked.choices if one["finish_reason"]] == ["stop"], asked.end
    assert asked.usage["completion_tokens"] > 0
    if asked.headers["content-type"].startswith("text/event-stream"):
        assert asked.body.endswith("data: [DONE]\n\n")
        assert asked.body.count("[DONE]") == 1


def direct(endpoint: EmulatedEndpoint, emulator: EmulatorProcess, body: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- JSON
    """What the endpoint's worker answers without a gateway in between."""
    path = endpoint.openai_url.removeprefix(emulator.origin)
    return emulator.call("POST", f"{path}/chat/completions", body)


def comments(asked: Asked) -> list[str]:
    """The comments of a stream: what keeps a connection alive while there is nothing to say."""
    return [line for line in asked.body.split("\n") if line.startswith(":")]


def check_settled(gateway: GatewayProcess, run: str) -> None:
    """Nothing is held back for the run any more, and its budget settled what its requests cost and no more.

    A run of which nothing was ever held, since no request of it went anywhere, has no budget yet.
    """
    gateway.wait_until(lambda: bool(gateway.records(run=run)))
    gateway.wait_until(lambda: _balance(gateway, run)["held"] == 0, seconds=10.0)
    cost = sum(record["cost_microdollars"] for record in gateway.records(run=run))
    assert _balance(gateway, run)["settled"] == cost


def _balance(gateway: GatewayProcess, run: str) -> Mapping[str, int]:
    balances = gateway.call("GET", "/tiergate/v1/budgets").json()["data"]
    return next((each for each in balances if each["owner"] == run), {"held": 0, "settled": 0})
