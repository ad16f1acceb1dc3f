# ruff: noqa: D101, D102 - the Flows here are test data
"""Beyond takeovers (test_takeover.py): whose steps are kept, what is, and how large."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import pytest
from crewai import Agent, Crew, Task
from crewai.flow.flow import Flow, listen, or_, router, start
from crewai.flow.persistence import persist
from pydantic import BaseModel

from orchestrator.llm import tier
from orchestrator.runs import durable
from tests.doubles.chat_server import ChatServer, say
from tests.orchestrator.runs.desk import desk_in

WORLD: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _fresh_world() -> None:
    WORLD.clear()


class Shelf(BaseModel):
    items: list[str] = []


class Inner(Flow[Shelf]):
    _skip_auto_memory = True

    @start()
    async def inside(self) -> str:
        return "from inside"


class Outer(Flow[Shelf]):
    """Its steps start an agent, which CrewAI makes of a Flow, and another Flow."""

    _skip_auto_memory = True

    @start()
    async def agent(self) -> object:
        agent = Agent(role="a", goal="g", backstory="b", llm=tier("routing"), max_retry_limit=0)
        return await Crew(agents=[agent], tasks=[Task(description="d", expected_output="e", agent=agent)]).akickoff()

    @listen(agent)
    async def flow(self) -> object:
        return await Inner().kickoff_async()


class Races(Flow[Shelf]):
    """Two listeners race, and the loser, which is cancelled, is not kept."""

    _skip_auto_memory = True

    @start()
    async def begin(self) -> None:
        WORLD["begin"] += 1

    @listen(begin)
    async def hare(self) -> str:
        return "hare"

    @listen(begin)
    async def tortoise(self) -> str:
        await asyncio.sleep(20)
        return "tortoise"

    @listen(or_(hare, tortoise))
    async def finish(self, winner: str) -> str:
        WORLD["finish"] += 1
        if WORLD["finish"] == 1:
            await asyncio.sleep(20)
        return winner


class Mutates(Flow[dict[str, Any]]):
    """A listener changes what it was given, which the step before returned and put into the state."""

    _skip_auto_memory = True

    @start()
    async def make(self) -> list[str]:
        return ["made"]

    @router(make)
    async def choose(self, items: list[str]) -> Literal["on"]:
        items.append("chosen")
        return "on"

    @listen(make)
    async def use(self, items: list[str]) -> int:
        WORLD["use"] += 1
        if WORLD["use"] == 1:
            raise ConnectionError("again")
        return len(items)


@persist()
class Persisted(Flow[Shelf]):
    """A Flow that has CrewAI's own persistence too, which is ahead of what is kept when its first step fails."""

    _skip_auto_memory = True

    @start()
    async def begin(self) -> object:
        self.state.items.append("x")
        WORLD["begin"] += 1
        return object() if WORLD["begin"] == 1 else None

    @listen(begin)
    async def end(self) -> list[str]:
        return list(self.state.items)


def at_once(_error: BaseException, attempt: int, **_: object) -> float | None:
    """One more try."""
    return 0.0 if attempt == 1 else None


@pytest.mark.usefixtures("settings")
async def test_only_the_runs_own_flow_is_kept(tmp_path: Path, server: ChatServer) -> None:
    server.script = say("Fine.")
    async with desk_in(tmp_path, Outer) as desk:
        run = await desk.run("Outer")
        assert run.output == "from inside"
        assert [step.key for step in await desk.store.steps("run-1")] == ["agent#1", "flow#1"]
        assert [data["step"] for type_, data in await desk.told() if type_ == "step.finished"] == ["agent", "flow"]
    assert "_execute_method" not in vars(Inner())
    assert Flow._execute_method.__module__.startswith("crewai.")


async def test_the_loser_of_a_race_is_not_kept_and_loses_again(tmp_path: Path) -> None:
    async with desk_in(tmp_path, Races) as desk:
        first = asyncio.ensure_future(desk.runner.work(await desk.add("Races")))
        async with asyncio.timeout(10):
            while WORLD["finish"] == 0:  # noqa: ASYNC110 - steps set no events
                await asyncio.sleep(0.001)
        first.cancel()
        await asyncio.wait({first})
        run = await desk.work()
        assert run.output == "hare"
        assert [step.key for step in await desk.store.steps("run-1")] == ["begin#1", "hare#1", "finish#1"]
        assert WORLD == {"begin": 1, "finish": 2}


async def test_a_step_is_given_what_was_returned_not_what_became_of_it(tmp_path: Path) -> None:
    async with desk_in(tmp_path, Mutates, delay=at_once) as desk:
        run = await desk.run("Mutates")
        assert run.state == "succeeded"
        assert next(step.output for step in await desk.store.steps("run-1")) == ["made"]


async def test_crewais_own_persistence_does_not_bring_another_state_back(tmp_path: Path) -> None:
    async with desk_in(tmp_path, Persisted) as desk:
        assert (await desk.run("Persisted")).state == "failed"
        assert await desk.store.resume("run-1")
        assert (await desk.work()).output == ["x"]


async def test_what_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "STEP_BYTES_MAX", 10)
    async with desk_in(tmp_path, Inner) as desk:
        run = await desk.run("Inner")
        assert run.problem is not None
        assert "characters of JSON, and 10 are kept at most" in run.problem.message
