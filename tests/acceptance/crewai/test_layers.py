# ruff: noqa: D102 - the steps here are test data
"""Which layer made a run slow has an answer: the gateway tells what each call waited for, the run's record adds it up.

Runpod is emulated, a hundred times as fast: a cold start of two minutes takes a little more than a second.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crewai import Agent, Crew, Task
from crewai.events.stream_context import add_stream_sink
from crewai.flow.flow import Flow, listen, start

from orchestrator.client import close_async_clients
from orchestrator.host.call_layers import CallLayers
from orchestrator.host.metrics import HostMetrics
from orchestrator.llm import tier
from orchestrator.runs.directory_store import DirectoryRunStore
from orchestrator.runs.run import NewRun, Run, RunState
from orchestrator.runs.runner import Runner
from orchestrator.settings import Secret, Settings, bind
from tests.acceptance.conftest import KEY
from tests.acceptance.emulated_system import emulated_tier, gateway_before
from tests.acceptance.emulator_process import EmulatorProcess
from tests.acceptance.gateway_process import GatewayProcess

pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("ignore")]

SPEED = 100.0
COLD_SECONDS = 120
NOW = 1_795_000_000.0
BOUND_SECONDS = 30
TIERS = ("cold-whole", "cold-stream", "one-slot")


def one_word() -> Crew:
    agent = Agent(role="r", goal="g", backstory="b", llm=tier("cold-stream", stream=True))
    return Crew(agents=[agent], tasks=[Task(description="Say a word.", expected_output="A word.", agent=agent)])


class Layered(Flow[dict[str, Any]]):
    """A step that finds nobody awake, one whose stream is held, one whose calls stand in line for one slot."""

    _skip_auto_memory = True

    @start()
    async def whole(self) -> None:
        await asyncio.gather(*(tier("cold-whole").acall("Hello") for _ in range(3)))

    @listen(whole)
    async def streamed(self) -> None:
        await asyncio.gather(one_word().akickoff(), one_word().akickoff())

    @listen(streamed)
    async def queued(self) -> None:
        await asyncio.gather(*(tier("one-slot").acall("Hello") for _ in range(3)))


@pytest.fixture(scope="module")
def layered_gateway(tmp_path_factory: pytest.TempPathFactory, gateway_python: str) -> Iterator[GatewayProcess]:
    directory = tmp_path_factory.mktemp("layers")
    with EmulatorProcess(directory, python=gateway_python, speed=SPEED) as emulator:
        emulator.quota(100)
        tiers = {}
        for name in TIERS:
            endpoint = emulator.endpoint(name, "LOAD_BALANCER")
            endpoint.spoil(pullSeconds=0, loadSeconds=COLD_SECONDS)
            if name == "one-slot":
                endpoint.warm()
            tiers[name] = emulated_tier(endpoint, "runpod-load-balancer", slots=1 if name == "one-slot" else 200)
        with gateway_before(emulator, tiers, directory, gateway_python) as gateway:
            yield gateway


async def test_a_runs_record_tells_what_its_calls_waited_for(layered_gateway: GatewayProcess, tmp_path: Path) -> None:
    """By step and in all; so do the worker's series."""
    store, metrics = DirectoryRunStore(tmp_path, unix=lambda: NOW), HostMetrics()

    async def work() -> Run | None:
        add_stream_sink(CallLayers(metrics))
        return await Runner(store=store, flows={"Layered": Layered}, owner="w-1", unix=lambda: NOW).work("run-1")

    await store.add(NewRun(name="run-1", flow="Layered", inputs={}, code=""))
    with bind(Settings(url=layered_gateway.url, key=Secret(KEY))):
        async with asyncio.timeout(BOUND_SECONDS):
            run = await asyncio.get_running_loop().create_task(work())
    await close_async_clients()
    assert run is not None
    assert run.state is RunState.SUCCEEDED, run.problem
    usage: Any = run.usage
    by_step = usage["by_step"]
    cold = COLD_SECONDS / SPEED
    for step, calls in (("whole", 3), ("streamed", 2)):
        told = by_step[step]
        assert told["calls"] == calls
        assert told["slowest_layer"] in {"hold", "worker"}, told
        # Each waited for the same cold start: who came first at the endpoint, the others before they were sent.
        assert told["hold_seconds"] + told["worker_seconds"] > calls * cold * 0.8, told
        assert told["hold_seconds"] > 0, told
        assert told["hold_seconds"] + told["worker_seconds"] <= told["call_seconds"] + 0.1, told
    assert by_step["streamed"]["generation_seconds"] > 0
    assert by_step["queued"]["queue_seconds"] > 0, by_step["queued"]
    assert by_step["queued"]["hold_seconds"] == 0
    assert usage["slowest_layer"] in {"hold", "worker"}
    assert usage["hold_seconds"] == pytest.approx(sum(told["hold_seconds"] for told in by_step.values()), abs=1e-3)
    held = [event.data for event in await store.events("run-1") if "hold_seconds" in event.data]
    assert held, "the event of a call tells it, too"
    assert {event["step"] for event in held} == {"whole", "streamed"}
    lines = metrics.text().decode().splitlines()
    sums = dict(line.rsplit(" ", 1) for line in lines if line.startswith("tiergate_flow_call_seconds_sum"))
    told_of = {name: float(value) for name, value in sums.items() if 'layer="hold"' in name}
    assert sum(told_of.values()) == pytest.approx(usage["hold_seconds"], abs=1e-3)
    assert told_of['tiergate_flow_call_seconds_sum{layer="hold",tier="one-slot"}'] == 0
