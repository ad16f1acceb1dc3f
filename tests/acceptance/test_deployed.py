"""A gateway whose endpoints are deployed from its tier map: their addresses reach it without anybody's hand."""

import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.cli import main
from tests.acceptance.conftest import DEMO, ENVIRONMENT
from tests.acceptance.conftest import KEY as GATEWAY_KEY
from tests.acceptance.emulated_system import TIMEOUTS, ask, check_whole
from tests.acceptance.emulator_process import KEY, EmulatorProcess
from tests.acceptance.gateway_process import GatewayProcess

pytestmark = pytest.mark.acceptance
MODEL = "org/model-8B"
SPEED = 50.0
"""Runpod's edge cuts a balanced request after 330 of its seconds, which are still some real ones."""


@pytest.fixture
def runpod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorProcess]:
    folder = tmp_path / "emulator"
    folder.mkdir()
    with EmulatorProcess(folder, python=sys.executable, speed=SPEED) as emulator:
        emulator.quota(100)
        monkeypatch.setenv("RUNPOD_API_KEY", KEY)
        monkeypatch.setenv("TIERGATE_RUNPOD_URL", emulator.origin)
        monkeypatch.delenv("TIERGATE_FLEET_STATE", raising=False)
        yield emulator


def tier_map(transport: str, model: str = MODEL) -> dict[str, Any]:
    """One tier, deployed as an endpoint of that type, which serves its model under that name."""
    deploy = {"timeout": "10m" if transport == "runpod-queue" else "330s"}
    tier = {
        "model": model,
        "gpu": "RTX 4090",
        "endpoints": [{"deploy": deploy, "transport": transport, "workers": {"max": 2, "idle_timeout": "1h"}}],
        "context": 8192,
        "slots": 50,
        "timeouts": TIMEOUTS,
        "retry": {"attempts": 6},
    }
    return {"version": 1, "fleet": {"quota": 100}, "tiers": {"routing": tier}, "keys": [DEMO]}


def deploy(folder: Path, *words: str) -> int:
    """Give a command of the deploy tool for the gateway's own tier map."""
    return main([*words, "--tiers", str(folder / "tiers.yaml")])


@pytest.mark.parametrize(
    "after",
    [tier_map("runpod-load-balancer"), tier_map("runpod-queue", "org/another-8B")],
    ids=["another type", "another model"],
)
def test_endpoints_are_made_replaced_and_found_while_requests_flow(
    runpod: EmulatorProcess, tmp_path: Path, after: dict[str, Any]
) -> None:
    """What an endpoint cannot become while it serves takes another one: it is made, served from, and the old one
    deleted, and no request is lost. The gateway has the new tier map first, and still asks the old endpoint for what
    that has.
    """
    folder = tmp_path / "gateway"
    folder.mkdir()
    environment = {**ENVIRONMENT, "RUNPOD_API_KEY": KEY, "TIERGATE_RUNPOD_SPEED": str(SPEED)}
    described = tier_map("runpod-queue")
    gateway = GatewayProcess(folder, described, key=GATEWAY_KEY, python=sys.executable, environment=environment)
    assert deploy(folder, "apply") == 0
    with gateway:
        check_whole(ask(gateway, "routing", stream=False, run="first"))
        asked: list[Any] = []
        over = threading.Event()

        def keep_asking(number: int) -> None:
            while not over.is_set():
                asked.append(ask(gateway, "routing", stream=bool(number % 2), run=f"run-{number}"))

        threads = [threading.Thread(target=keep_asking, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        try:
            old = {one["id"] for one in runpod.call("GET", "/v2/serverless")["endpoints"]}
            gateway.rewrite(json.dumps(after))
            before = len(asked)
            gateway.wait_until(lambda: len(asked) > before + 8, seconds=20.0)
            assert deploy(folder, "apply", "--allow-unsafe", "--drain-seconds", "20") == 0
            before = len(asked)
            gateway.wait_until(lambda: len(asked) > before + 8, seconds=20.0)
        finally:
            over.set()
            for thread in threads:
                thread.join()
        for one in asked:
            check_whole(one)
        assert {one["id"] for one in runpod.call("GET", "/v2/serverless")["endpoints"]}.isdisjoint(old)
