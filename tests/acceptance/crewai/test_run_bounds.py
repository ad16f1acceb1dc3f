# ruff: noqa: D102 - the steps here are test data
"""A Flow's run that was given a budget ends with it: the gateway refuses, nothing is tried again."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from crewai import Agent, Crew, Task
from crewai.flow.flow import Flow, listen, start
from pydantic import JsonValue

from orchestrator.client import close_async_clients
from orchestrator.llm import tier
from orchestrator.runs.directory_store import DirectoryRunStore
from orchestrator.runs.run import NewRun, Run, RunBounds, RunState
from orchestrator.runs.runner import Runner
from orchestrator.settings import Secret, Settings, bind
from tests.acceptance.conftest import KEY
from tests.acceptance.gateway_process import GatewayProcess
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("ignore")]

AT_ONCE = 20
NOW = 1_795_000_000.0
BOUND_SECONDS = 30


class Eager(Flow[dict[str, Any]]):
    """Its second step makes twenty calls at once: all by a tier's LLM, or every fourth by an agent."""

    _skip_auto_memory = True

    @start()
    async def first(self) -> str:
        return str(await tier("routing").acall("one call before"))

    @listen(first)
    async def second(self) -> str:
        answers = await asyncio.gather(*(self._one(number) for number in range(AT_ONCE)), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return "done"

    async def _one(self, number: int) -> object:
        if number % 4 or not self.state.get("agents"):
            return await tier("routing").acall(f"call {number}")
        agent = Agent(role=f"agent {number}", goal="Answer.", backstory="Brief.", llm=tier("routing"))
        task = Task(description="Say a word.", expected_output="A word.", agent=agent)
        return await Crew(agents=[agent], tasks=[task]).akickoff()


async def run_of(gateway: GatewayProcess, folder: Path, name: str, bounds: RunBounds, **inputs: JsonValue) -> Run:
    """The run, when it has ended."""
    store = DirectoryRunStore(folder, unix=lambda: NOW)
    with bind(Settings(url=gateway.url, key=Secret(KEY))):
        runner = Runner(store=store, flows={"Eager": Eager}, owner="w-1", unix=lambda: NOW)
        await store.add(NewRun(name=name, flow="Eager", inputs=inputs, code="", bounds=bounds))
        async with asyncio.timeout(BOUND_SECONDS):
            run = await runner.work(name)
    await close_async_clients()
    assert run is not None
    return run


async def test_a_flows_run_makes_as_many_calls_as_it_may_and_fails_for_its_budget(
    gateway: GatewayProcess, routing_upstream: OpenAIUpstream, tmp_path: Path
) -> None:
    run = await run_of(gateway, tmp_path, "eager-1", RunBounds(calls_max=7))
    assert len(routing_upstream.posts) == 7
    assert (run.state, run.steps, run.usage["retries"]) == (RunState.FAILED, 1, 0)
    assert run.problem is not None
    assert run.problem.step == "second#1"
    assert run.problem.message.startswith(
        "the run's budget is exhausted: The budget 'x-tiergate-run-max-calls' of eager-1 has 0 requests left of"
        " 7 requests for the whole run;"
    )
    assert "Start the run with a larger one." in run.problem.message


async def test_money_is_bound_too(gateway: GatewayProcess, routing_upstream: OpenAIUpstream, tmp_path: Path) -> None:
    """No call whose worst case the run cannot pay reaches the endpoint."""
    run = await run_of(gateway, tmp_path, "eager-2", RunBounds(usd_max=0.000_001))
    assert not routing_upstream.posts
    assert run.problem is not None
    assert "1e-06" not in run.problem.message
    assert "'x-tiergate-run-max-usd' of eager-2 (0.000001 USD for the whole run)" in run.problem.message


async def test_a_run_within_its_bounds_notices_nothing(
    gateway: GatewayProcess, routing_upstream: OpenAIUpstream, tmp_path: Path
) -> None:
    bounds = RunBounds(calls_max=1 + AT_ONCE, usd_max=5.0, deadline_unix=4_000_000_000.0)
    run = await run_of(gateway, tmp_path, "eager-3", bounds, agents=True)
    assert (run.state, run.output) == (RunState.SUCCEEDED, "done")
    assert len(routing_upstream.posts) == 1 + AT_ONCE
