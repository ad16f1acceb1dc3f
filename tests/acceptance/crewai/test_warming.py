"""A Flow on two tiers that sleep: the second wakes while the first step waits for the first, with the real gateway."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from crewai.flow.flow import Flow, listen, start
from pydantic import BaseModel

from orchestrator.client import close_async_clients
from orchestrator.flow import run_flow
from orchestrator.llm import tier
from orchestrator.quiet import silence_console
from orchestrator.settings import Secret, Settings, bind
from orchestrator.warming.announced import announced
from orchestrator.warming.declared import tiers
from tests.acceptance.conftest import KEY
from tests.acceptance.emulated_system import emulated_tier, gateway_before
from tests.acceptance.emulator_process import STAYS, EmulatedEndpoint, EmulatorProcess
from tests.acceptance.gateway_process import GatewayProcess

pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("ignore")]

SPEED = 20.0
LOAD_SECONDS = 40
System = tuple[GatewayProcess, dict[str, EmulatedEndpoint]]


class Answers(BaseModel):
    """What was answered."""

    texts: list[str] = []


class Two(Flow[Answers]):
    """A step on each of two tiers."""

    _skip_auto_memory = True

    @start()
    async def classify(self) -> None:
        """On the first."""
        self.state.texts.append(str(await tier("routing", max_tokens=5).acall("Hello?")))

    @listen(classify)
    @tiers("reasoning", "nobody")
    async def think(self) -> None:
        """On the second; a third is declared that there is not."""
        self.state.texts.append(str(await tier("reasoning", max_tokens=5).acall("Hello?")))


@pytest.fixture
def system(tmp_path: Path, gateway_python: str) -> Iterator[System]:
    """A gateway before one endpoint for each tier, both cold."""
    with EmulatorProcess(tmp_path, python=gateway_python, speed=SPEED) as emulator:
        endpoints = {name: emulator.endpoint(name, "QUEUE", workers=STAYS) for name in ("routing", "reasoning")}
        for endpoint in endpoints.values():
            endpoint.spoil(pullSeconds=0, loadSeconds=LOAD_SECONDS)
        tiers = {name: emulated_tier(endpoint, "runpod-queue") for name, endpoint in endpoints.items()}
        with gateway_before(emulator, tiers, tmp_path, gateway_python) as gateway:
            yield gateway, endpoints


async def test_the_second_tier_wakes_while_the_first_step_waits(system: System) -> None:
    """Its step waits for no cold start, and one worker came for each; a tier that there is not is said once."""
    gateway, endpoints = system
    settings, said = Settings(url=gateway.url, key=Secret(KEY)), list[str]()
    silence_console()
    try:
        with bind(settings), announced(settings, say=said.append):
            result = await run_flow(Two, run="run-7")
    finally:
        await close_async_clients()
    assert len(result.state["texts"]) == 2  # type: ignore[arg-type]
    gateway.wait_until(lambda: len(gateway.records(run="run-7")) == 2)
    first, second = gateway.records(run="run-7")
    assert (first["tier"], second["tier"]) == ("routing", "reasoning")
    load = LOAD_SECONDS / SPEED
    assert first["duration_seconds"] > load * 0.9
    assert second["duration_seconds"] < load * 0.6
    told, *later = gateway.events("tiers.announced")
    assert (told["run"], told["woken"], told["refused"]) == ("run-7", ["reasoning"], {"model_not_found": 1})
    assert not any(each["woken"] for each in later)
    assert [line.partition(":")[0] for line in said] == ["the tier 'nobody' is not announced"]
    assert [len(endpoint.workers()) for endpoint in endpoints.values()] == [1, 1]
