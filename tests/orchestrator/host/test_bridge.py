"""The store of runs from another loop: every method of the protocol, and what it raises."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from orchestrator.errors import OwnershipLost, RunConflict
from orchestrator.host.bridge import BridgedStore
from orchestrator.host.flow_loop import FlowLoop
from orchestrator.runs.directory_store import DirectoryRunStore
from orchestrator.runs.run import NewRun, Question, RunState, Step
from orchestrator.runs.store import Ending, RunStore
from tests.orchestrator.host.hosted import nothing
from tests.orchestrator.runs.clocks import ManualClock


@pytest.fixture
def flows() -> Iterator[FlowLoop]:
    loop = FlowLoop(within=nothing)
    loop.start()
    yield loop
    loop.stop()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DirectoryRunStore]:
    store = DirectoryRunStore(tmp_path, unix=ManualClock().unix)
    yield store
    await store.close()


def new(name: str) -> NewRun:
    """A run."""
    return NewRun(name=name, flow="Double", inputs={}, code="code-1")


def test_it_has_every_method_of_a_store() -> None:
    def methods(of: type) -> dict[str, inspect.Signature]:
        return {
            name: inspect.signature(value)
            for name, value in vars(of).items()
            if inspect.iscoroutinefunction(value) and not name.startswith("_")
        }

    assert methods(BridgedStore) == methods(RunStore)


async def test_a_runs_whole_life_can_be_written_from_another_loop(flows: FlowLoop, store: DirectoryRunStore) -> None:
    bridged: RunStore = BridgedStore(store, asyncio.get_running_loop())

    async def life() -> None:
        await bridged.add(new("run-1"))
        owned = await bridged.own("run-1", owner="w-1", lease_seconds=30)
        assert owned is not None
        assert not await bridged.renew(owned, lease_seconds=30)
        step = Step(method="work", number=1, output=1, state={}, started_unix=0.0, seconds=0.0)
        await bridged.keep_step(owned, step)
        await bridged.tell(owned, "step.finished", {"step": "work"})
        await bridged.ask(owned, Question(step="work#1", message="Good?", output=1))
        assert await bridged.answer("run-1", "Yes.")
        again = await bridged.own("run-1", owner="w-2", lease_seconds=30)
        assert again is not None
        await bridged.let_go(again)
        assert await bridged.cancel("run-1")
        assert await bridged.resume("run-1", code="code-2")
        last = await bridged.own("run-1", owner="w-3", lease_seconds=30)
        assert last is not None
        await bridged.end(last, Ending(state=RunState.SUCCEEDED, output="done"))
        assert await bridged.feedback("run-1") == {"work#1": "Yes."}
        assert await bridged.steps("run-1") == [step]
        assert [run.name for run in await bridged.runs()] == ["run-1"]
        assert await bridged.lapsed() == []
        assert (await bridged.events("run-1"))[-1].type == "run.succeeded"

    await flows.call(life)
    run = await store.run("run-1")
    assert run is not None
    assert (run.state, run.output, run.code) == (RunState.SUCCEEDED, "done", "code-2")

    async def forget() -> int:
        return await bridged.forget(before_unix=run.ended_unix + 1)

    assert await flows.call(forget) == 1
    assert await store.run("run-1") is None


async def test_what_the_store_raises_is_raised_over_there(flows: FlowLoop, store: DirectoryRunStore) -> None:
    bridged = BridgedStore(store, asyncio.get_running_loop())

    async def conflict() -> None:
        await bridged.add(new("run-1"))
        with pytest.raises(RunConflict):
            await bridged.add(new("run-1"))
        owned = await bridged.own("run-1", owner="w-1", lease_seconds=30)
        assert owned is not None
        await bridged.let_go(owned)
        with pytest.raises(OwnershipLost):
            await bridged.tell(owned, "token", {})

    await flows.call(conflict)


async def test_who_cancels_a_call_does_not_wait_for_it(flows: FlowLoop, store: DirectoryRunStore) -> None:
    bridged = BridgedStore(store, asyncio.get_running_loop())

    async def listen() -> None:
        await bridged.add(new("run-1"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await bridged.events("run-1", after=1, wait_seconds=60)

    async with asyncio.timeout(10):
        await flows.call(listen)
