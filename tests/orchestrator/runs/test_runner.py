# ruff: noqa: D101, D102 - the Flows here are test data
"""A run in a worker's hands: to its end, cancelled, lost, let go, and refused."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from crewai import Agent, Crew, Task
from crewai.flow.flow import Flow, listen, start
from pydantic import BaseModel

from orchestrator.errors import StoreUnavailable
from orchestrator.llm import tier
from orchestrator.runs.directory_store import DirectoryRunStore
from orchestrator.runs.run import NewRun, Run, Step
from orchestrator.runs.runner import Runner
from orchestrator.runs.store import Ownership
from tests.doubles.chat_server import ChatServer, say
from tests.orchestrator.runs.desk import BOUND_SECONDS, Desk, desk_in

pytestmark = pytest.mark.usefixtures("settings")


class Count(BaseModel):
    number: int = 1


class Doubles(Flow[Count]):
    _skip_auto_memory = True

    @start()
    def double(self) -> int:
        self.state.number *= 2
        return int(self.state.number)

    @listen(double)
    async def note(self, number: int) -> None:
        self.state.number += number


class Gate:
    """Between a test and the steps of ``Held``; new for each test."""

    begun: asyncio.Event
    go_on: asyncio.Event
    ends: list[str]


class Held(Flow[Count]):
    """Its second step begins, and waits until the test lets it go on."""

    _skip_auto_memory = True

    @start()
    async def first(self) -> None:
        Gate.ends.append("first")

    @listen(first)
    async def second(self) -> None:
        Gate.begun.set()
        await Gate.go_on.wait()
        Gate.ends.append("second")

    @listen(second)
    async def third(self) -> str:
        Gate.ends.append("third")
        return "held"


class Asks(Flow[Count]):
    """An agent that is asked twice, streamed."""

    _skip_auto_memory = True

    @start()
    async def talk(self) -> object:
        agent = Agent(role="poet", goal="g", backstory="b", llm=tier("routing", stream=True), max_retry_limit=0)
        task = Task(name="t", description="Say it.", expected_output="A word.", agent=agent)
        return await Crew(agents=[agent], tasks=[task]).akickoff()


class Breaks(Flow[Count]):
    _skip_auto_memory = True

    @start()
    def fine(self) -> None:
        self.state.number = 5

    @listen(fine)
    def broken(self) -> None:
        raise RuntimeError("the oven\nis cold: canary-key-of-the-gateway")


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    Gate.begun, Gate.go_on, Gate.ends = asyncio.Event(), asyncio.Event(), []
    async with desk_in(tmp_path, Doubles, Held, Asks, Breaks) as desk:
        yield desk


async def test_a_run_ends_with_its_output_its_state_and_its_events(desk: Desk) -> None:
    run = await desk.run("Doubles", {"number": 4})
    assert (run.state, run.output, run.problem) == ("succeeded", {"id": "run-1", "number": 16}, None)
    assert run.final_state == {"id": "run-1", "number": 16}
    assert (run.owner, run.attempts, run.steps) == ("", 1, 2)
    assert await desk.types() == [
        "run.queued", "run.running", "step.started", "step.finished", "step.started", "step.finished", "run.succeeded",
    ]  # fmt: skip
    told = await desk.told()
    assert told[2] == ("step.started", {"step": "double", "number": 1})
    assert told[3][1]["seconds"] >= 0


async def test_what_a_run_took_is_told_by_layer(desk: Desk, server: ChatServer) -> None:
    server.script = say("Roses are red and violets are blue.")
    run = await desk.run("Asks")
    assert run.output == "Roses are red and violets are blue."
    usage: dict[str, Any] = dict(run.usage)
    assert (usage["steps"], usage["steps_restored"], usage["retries"]) == (1, 0, 0)
    assert (usage["calls"], usage["calls_failed"]) == (1, 0)
    assert (usage["tokens_in"], usage["tokens_out"]) == (12, 5)
    assert 0 < usage["call_seconds"] <= usage["step_seconds"] <= usage["seconds"]
    assert usage["cpu_seconds"] > 0


async def test_agents_calls_and_tokens_are_told_in_order(desk: Desk, server: ChatServer) -> None:
    server.script = say("Roses are red.")
    await desk.run("Asks")
    told = [(type_, data) for type_, data in await desk.told() if not type_.startswith("run.")]
    types = [type_ for type_, _ in told]
    assert [type_ for number, type_ in enumerate(types) if type_ != "token" or types[number - 1] != "token"] == [
        "step.started", "agent.started", "call.started", "token", "call.finished", "agent.finished", "step.finished",
    ]  # fmt: skip
    assert "".join(data["text"] for type_, data in told if type_ == "token") == "Roses are red."
    call = next(data for type_, data in told if type_ == "call.finished")
    assert {name: call[name] for name in ("step", "agent", "tier", "tokens_in", "tokens_out")} == {
        "step": "talk", "agent": "poet", "tier": "routing", "tokens_in": 12, "tokens_out": 5,
    }  # fmt: skip
    assert 0 <= call["first_token_seconds"] <= call["seconds"]
    headers = server.asked[0].headers
    assert (headers["x-tiergate-run"], headers["x-tiergate-flow"], headers["x-tiergate-step"]) == (
        "run-1", "Asks", "talk",
    )  # fmt: skip


async def test_a_run_that_fails_says_why_and_where_without_secrets(desk: Desk) -> None:
    run = await desk.run("Breaks")
    assert run.state == "failed"
    assert run.problem is not None
    assert (run.problem.type, run.problem.step) == ("RuntimeError", "broken#1")
    assert run.problem.message == "RuntimeError: the oven is cold: ***"
    assert ("step.failed", "RuntimeError: the oven is cold: ***") in [
        (type_, data.get("cause")) for type_, data in await desk.told()
    ]
    assert run.steps == 1
    assert await desk.runner.work("run-1") is None


async def test_a_failed_run_that_is_resumed_goes_on_after_what_is_kept(desk: Desk) -> None:
    await desk.run("Breaks")
    assert await desk.store.resume("run-1")
    assert (await desk.work()).state == "failed"
    types = await desk.types()
    assert types.count("step.restored") == 1
    assert types.count("step.started") == 3


async def test_inputs_that_do_not_fit_end_it_before_any_step(desk: Desk) -> None:
    run = await desk.run("Doubles", {"number": "many", "other": 1})
    assert run.problem is not None
    assert (run.state, run.problem.type, run.steps) == ("failed", "InputsRefused", 0)


async def test_a_flow_that_is_not_hosted_here_is_left_to_others(desk: Desk) -> None:
    await desk.store.add(NewRun(name="run-2", flow="Elsewhere", inputs={}, code="c"))
    assert await desk.runner.work("run-2") is None
    assert await desk.runner.work("run-3") is None
    run = await desk.store.run("run-2")
    assert run
    assert run.state == "queued"


async def test_a_cancelled_run_stops_in_its_step(desk: Desk) -> None:
    working = asyncio.ensure_future(desk.work(await desk.add("Held")))
    await asyncio.wait_for(Gate.begun.wait(), BOUND_SECONDS)
    assert await desk.runner.work("run-1") is None, "one worker at a time"
    assert await desk.store.cancel("run-1")
    run = await working
    assert (run.state, run.steps, Gate.ends) == ("cancelled", 1, ["first"])
    Gate.go_on.set()
    assert await desk.store.resume("run-1")
    assert (await desk.work()).output == "held"
    assert Gate.ends == ["first", "second", "third"]


async def test_a_run_that_was_cancelled_while_its_worker_was_dead_does_not_begin_again(desk: Desk) -> None:
    dead = await desk.store.own(await desk.add("Held"), owner="dead", lease_seconds=30)
    assert dead
    await desk.store.cancel("run-1")
    desk.clock.now += 31
    assert (await desk.work()).state == "cancelled"
    assert Gate.ends == []


async def test_a_worker_that_ends_lets_its_run_go(desk: Desk) -> None:
    working = asyncio.ensure_future(desk.runner.work(await desk.add("Held")))
    await asyncio.wait_for(Gate.begun.wait(), BOUND_SECONDS)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    run = await desk.store.run("run-1")
    assert run
    assert (run.state, run.owner, run.steps) == ("queued", "", 1)
    Gate.go_on.set()
    assert (await desk.work()).output == "held"
    assert Gate.ends == ["first", "second", "third"]


async def test_a_worker_that_ends_in_the_moment_in_which_it_owned_a_run_lets_it_go(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first step of it."""
    name, reads = await desk.add("Held"), 0
    run = desk.store.run

    async def read(name: str) -> Run | None:
        nonlocal reads
        reads += 1
        if reads == 2:
            working.cancel()
            await asyncio.sleep(0)
        return await run(name)

    monkeypatch.setattr(desk.store, "run", read)
    working = asyncio.ensure_future(desk.runner.work(name))
    with pytest.raises(asyncio.CancelledError):
        await working
    left = await run(name)
    assert left
    assert (left.state, left.owner, left.steps, reads) == ("queued", "", 0, 2)


async def test_a_worker_whose_run_was_taken_over_stops_at_once(desk: Desk) -> None:
    working = asyncio.ensure_future(desk.work(await desk.add("Held")))
    await asyncio.wait_for(Gate.begun.wait(), BOUND_SECONDS)
    assert await desk.store.events("run-1", after=4, wait_seconds=BOUND_SECONDS)
    other = None
    async with asyncio.timeout(BOUND_SECONDS):
        while other is None:  # a heartbeat may come in between
            desk.clock.now += 31
            other = await desk.store.own("run-1", owner="two", lease_seconds=60)
    run = await working
    assert (run.state, run.owner, run.steps) == ("running", "two", 1)
    Gate.go_on.set()
    assert await desk.types() == [
        "run.queued",
        "run.running",
        "step.started",
        "step.finished",
        "step.started",
        "run.running",
    ]
    assert Gate.ends == ["first"]


class Flaky(DirectoryRunStore):
    """A store that does not answer for a while."""

    silent = False

    def _check(self) -> None:
        if self.silent:
            raise StoreUnavailable("away")

    async def keep_step(self, ownership: Ownership, step: Step) -> None:
        self._check()
        await super().keep_step(ownership, step)

    async def renew(self, ownership: Ownership, *, lease_seconds: float) -> bool:
        self._check()
        return await super().renew(ownership, lease_seconds=lease_seconds)


@pytest.mark.parametrize("comes_back", [True, False])
async def test_a_store_that_is_away_is_waited_for_as_long_as_the_lease_lasts(
    tmp_path: Path, desk: Desk, comes_back: bool
) -> None:
    store = Flaky(tmp_path / "flaky", unix=desk.clock.unix)
    runner = Runner(
        store=store, flows={"Held": Held}, owner="one", unix=desk.clock.unix,
        lease_seconds=20.0 if comes_back else 0.05, heartbeat_seconds=0.01,
    )  # fmt: skip
    await store.add(NewRun(name="run-1", flow="Held", inputs={}, code=""))
    working = asyncio.ensure_future(runner.work("run-1"))
    await asyncio.wait_for(Gate.begun.wait(), BOUND_SECONDS)
    store.silent = True
    Gate.go_on.set()
    if comes_back:
        async with asyncio.timeout(BOUND_SECONDS):
            while "second" not in Gate.ends:  # noqa: ASYNC110 - steps set no events
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)
        assert "third" not in Gate.ends, "the second step is not kept yet"
        store.silent = False
        run = await asyncio.wait_for(working, BOUND_SECONDS)
        assert run
        assert (run.state, run.steps) == ("succeeded", 3)
    else:
        run = await asyncio.wait_for(working, BOUND_SECONDS)
        assert run
        assert (run.state, run.steps) == ("running", 1)
        assert "third" not in Gate.ends
    await store.close()


async def test_runs_side_by_side_do_not_see_each_other(desk: Desk, server: ChatServer) -> None:
    server.script = say("Fine.")
    names = [await desk.add("Asks", name=f"run-{number}") for number in range(4)]
    names += [await desk.add("Doubles", {"number": number}, name=f"double-{number}") for number in range(4)]
    runs = await asyncio.gather(*map(desk.work, names))
    assert [run.output for run in runs[:4]] == ["Fine."] * 4
    assert [run.final_state["number"] for run in runs[4:]] == [0, 4, 8, 12]
    assert sorted(asked.headers["x-tiergate-run"] for asked in server.asked) == names[:4]
    for name in names[:4]:
        assert (await desk.types(name)).count("call.finished") == 1


async def test_a_run_whose_code_changed_refuses_and_goes_on_only_when_told_so(desk: Desk) -> None:
    """Before anything is kept there is nothing that would not fit."""
    await desk.store.add(NewRun(name="run-1", flow="Breaks", inputs={}, code="of another day"))
    assert (await desk.work()).steps == 1
    await desk.store.resume("run-1")
    run = await desk.work()
    assert run.problem is not None
    assert (run.state, run.problem.type) == ("failed", "FlowChanged")
    assert "Resume it with the new code" in run.problem.message
    assert await desk.store.resume("run-1", code=desk.runner.code("Breaks"))
    run = await desk.work()
    assert run.problem is not None
    assert run.problem.type == "RuntimeError"
