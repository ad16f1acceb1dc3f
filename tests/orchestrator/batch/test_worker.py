"""One job's way through a worker."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from orchestrator.batch.worker import BatchWorker, Runner
from orchestrator.errors import StoreUnavailable
from orchestrator.runs.directory_store import DirectoryRunStore
from orchestrator.runs.run import Run, RunState
from orchestrator.runs.store import Ending, RunStore
from tests.orchestrator.runs.clocks import ManualClock


class AnyFlow:
    """Takes all inputs."""

    name = "Tea"
    code = "code-1"

    def check(self, inputs: Mapping[str, object]) -> None:
        """Fine."""


class DoingRunner:
    """Does with a run what a test says."""

    def __init__(self, store: RunStore, doing: Callable[[RunStore, str], Awaitable[None]]) -> None:
        self._store = store
        self._doing = doing
        self.worked = 0

    async def work(self, name: str) -> Run | None:
        """As the real one's."""
        self.worked += 1
        await self._doing(self._store, name)
        return await self._store.run(name)


async def succeeds(store: RunStore, name: str) -> None:
    """Own it, tell of a step, end it; nothing where it ended before."""
    ownership = await store.own(name, owner="w-1", lease_seconds=30)
    if ownership is not None:
        await store.tell(ownership, "step.finished", {"step": "one"})
        await asyncio.sleep(0.05)
        await store.end(ownership, Ending(state=RunState.SUCCEEDED, output="TEA"))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DirectoryRunStore]:
    store = DirectoryRunStore(tmp_path, unix=ManualClock().unix)
    yield store
    await store.close()


class Told:
    """What a worker showed and said."""

    def __init__(self) -> None:
        self.progress: list[dict[str, JsonValue]] = []
        self.lines: list[str] = []

    def show(self, _job: Mapping[str, Any], told: dict[str, JsonValue]) -> None:
        """A job's progress."""
        self.progress.append(told)


def worker(store: RunStore, runner: Runner, told: Told, *flows: str) -> BatchWorker:
    """A worker of these Flows."""

    async def opened() -> tuple[RunStore, Runner]:
        return store, runner

    hosted = dict.fromkeys(flows or ("Tea",), AnyFlow())
    return BatchWorker(flows=hosted, opened=opened, progress=told.show, unix=ManualClock().unix, say=told.lines.append)


def error_of(answer: Mapping[str, JsonValue]) -> dict[str, Any]:
    """What Runpod shows of it."""
    found: dict[str, Any] = json.loads(str(answer["error"]))
    return found


async def test_a_job_is_a_run_that_is_told_of_and_answered(store: DirectoryRunStore) -> None:
    told = Told()
    answer = await worker(store, DoingRunner(store, succeeds), told)({"id": "job-1", "input": {"inputs": {"a": 1}}})
    assert (answer["run"], answer["status"], answer["output"]) == ("job-1", "succeeded", "TEA")
    assert told.progress == [{"run": "job-1", "event": "step.finished", "step": "one"}]
    assert told.lines == ["job job-1: run job-1: Tea succeeded"]


async def test_a_job_that_is_given_out_again_finds_its_run(store: DirectoryRunStore) -> None:
    runner = DoingRunner(store, succeeds)
    hosting = worker(store, runner, Told())
    first = await hosting({"id": "job-1", "input": {}})
    again = await hosting({"id": "job-1", "input": {}})
    assert again == first
    refused = error_of(await hosting({"id": "job-1", "input": {"inputs": {"b": 2}}}))
    assert refused["type"] == "run_conflict"


async def test_which_flow_is_said_where_there_are_several(store: DirectoryRunStore) -> None:
    hosting = worker(store, DoingRunner(store, succeeds), Told(), "Tea", "Coffee")
    assert error_of(await hosting({"id": "job-1", "input": {}}))["message"].endswith("Coffee, Tea.")
    assert error_of(await hosting({"id": "job-1", "input": {"flow": "Milk"}}))["type"] == "flow_unknown"


async def test_a_cancelled_job_cancels_its_run(store: DirectoryRunStore) -> None:
    begun = asyncio.Event()

    async def lasts(_store: RunStore, _name: str) -> None:
        begun.set()
        await asyncio.Event().wait()

    hosting = worker(store, DoingRunner(store, lasts), Told())
    job = asyncio.get_running_loop().create_task(_answered(hosting))
    await begun.wait()
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    run = await store.run("job-1")
    assert run is not None
    assert run.state is RunState.CANCELLED


async def _answered(hosting: BatchWorker) -> dict[str, JsonValue]:
    return await hosting({"id": "job-1", "input": {}})


@pytest.mark.parametrize(
    ("error", "type_"),
    [(StoreUnavailable("the store at s does not answer"), "store_unavailable"), (KeyError("x"), "internal_error")],
)
async def test_what_goes_wrong_here_is_answered_too(store: DirectoryRunStore, error: Exception, type_: str) -> None:
    async def fails(_store: RunStore, _name: str) -> None:
        raise error

    told = Told()
    answer = await worker(store, DoingRunner(store, fails), told)({"id": "job-1", "input": {}})
    assert error_of(answer)["type"] == type_
    assert "Traceback" not in str(answer)
    assert told.lines[0].startswith("job job-1: ")
