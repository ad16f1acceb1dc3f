"""Workers are killed at every step of Flows of every shape, and others take their runs over.

A run that was killed ends as one that was not: the same output, the same state, the same arguments of each step, and
each step done once. Only a step that was killed before its result was kept is done again: nobody can know of it.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from orchestrator.clock import unix
from orchestrator.runs.directory_store import DirectoryRunStore
from orchestrator.runs.fingerprint import fingerprint
from orchestrator.runs.redis_store import RedisRunStore
from orchestrator.runs.run import NewRun, Run
from tests.orchestrator.conftest import HOME
from tests.orchestrator.runs.kept_flows import FLOWS
from tests.orchestrator.runs.redis_servers import redis_server

PARALLEL = {"Joined", "Either", "Crossed"}
THREADS = {"right", "two"}
STEPS = {"Sequential": 4, "Routed": 5, "Joined": 5, "Either": 4, "Looped": 7, "Crossed": 7, "Untyped": 2}
BOUND_SECONDS = 20.0


class Workers:
    """Forked by a program that imported CrewAI once."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, **order: object) -> int:
        """The answer to one order."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        (value,) = json.loads(self._process.stdout.readline()).values()
        return int(value)

    def work(self, **order: object) -> int:
        """A worker's whole life: its exit status, negative for a signal."""
        return self.ask(do="wait", pid=self.ask(do="start", **order))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with redis_server("redis") as url:
        yield url


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.orchestrator.runs.forking_worker", folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "HOME": str(HOME)},
        )
        try:
            yield Workers(process)
        finally:
            process.communicate(timeout=BOUND_SECONDS)


@pytest.fixture
async def store(url: str) -> AsyncIterator[RedisRunStore]:
    store = RedisRunStore.from_url(url)
    yield store
    await store.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One run, its store, and who works on it."""

    flow: str
    name: str
    folder: Path
    store: RedisRunStore
    url: str
    workers: Workers

    @property
    def effects(self) -> list[str]:
        """Each time that a step was really done: its name and its arguments."""
        file = self.folder / "effects"
        return file.read_text().splitlines() if file.exists() else []

    def work(self, **kill: int) -> None:
        """A worker takes the run up, and dies as ``kill`` says or ends it."""
        assert self.workers.work(run=self.name, url=self.url, **kill) == (-signal.SIGKILL if kill else 0)

    async def kept(self) -> Counter[str]:
        """How often each step is kept."""
        return Counter(step.method for step in await self.store.steps(self.name))

    async def run(self) -> Run:
        """As it is kept."""
        run = await self.store.run(self.name)
        assert run
        return run

    async def told(self) -> object:
        """What came of it, apart from what differs from run to run and the order in which branches came by."""
        run = await self.run()
        assert (run.state, run.problem) == ("succeeded", None)
        state = {name: value for name, value in run.final_state.items() if name not in {"id", "folder"}}
        if self.flow in PARALLEL:
            return _sorted(run.output), {name: _sorted(value) for name, value in state.items()}
        return run.output, state


def _sorted(value: object) -> object:
    """In another order; what a step did in a thread, at the same instant as a neighbour, may be there twice."""
    if not isinstance(value, list):
        return value
    return sorted(value[number] for number in range(len(value)) if value[number] not in {*THREADS} & {*value[:number]})


async def scene_of(flow: str, folder: Path, *, store: RedisRunStore, url: str, workers: Workers) -> Scene:
    """A run of ``flow`` that nobody has taken up yet."""
    folder.mkdir()  # noqa: ASYNC240 - a moment
    name = f"{flow}-{uuid4()}"
    await store.add(NewRun(name=name, flow=flow, inputs={"folder": str(folder)}, code=fingerprint(FLOWS[flow])))
    return Scene(flow=flow, name=name, folder=folder, store=store, url=url, workers=workers)


def methods(effects: list[str]) -> Counter[str]:
    """How often each step was done."""
    return Counter(json.loads(line)[0] for line in effects)


@pytest.mark.parametrize("flow", ["Sequential", "Routed", "Joined", "Looped"])
async def test_a_run_whose_worker_is_killed_at_any_step_ends_as_if_it_had_not_been(
    flow: str, tmp_path: Path, store: RedisRunStore, url: str, workers: Workers
) -> None:
    whole = await scene_of(flow, tmp_path / "whole", store=store, url=url, workers=workers)
    whole.work()
    assert sum((await whole.kept()).values()) == len(whole.effects) == STEPS[flow]
    deaths = [{"kill_after": number} for number in range(1, STEPS[flow] + 1)]
    if flow in {"Joined", "Looped"}:
        deaths += [{"kill_before": number} for number in range(1, STEPS[flow] + 1)]
    for death in deaths:
        scene = await scene_of(flow, tmp_path / str(death), store=store, url=url, workers=workers)
        scene.work(**death)
        kept, done = await scene.kept(), len(scene.effects)
        scene.work()
        # What was kept is not done again, and all that was not kept is.
        assert methods(scene.effects[done:]) == methods(whole.effects) - kept, death
        assert set(scene.effects) == set(whole.effects), death
        assert await scene.told() == await whole.told(), death
        assert (await scene.run()).attempts == 2
        events = await store.events(scene.name)
        assert [event.number for event in events] == list(range(1, len(events) + 1))
        assert [event.type for event in events].count("step.restored") == sum(kept.values())


@pytest.mark.parametrize("flow", STEPS)
async def test_a_run_gets_to_its_end_though_every_worker_dies_after_one_step(
    flow: str, tmp_path: Path, store: RedisRunStore, url: str, workers: Workers
) -> None:
    scene = await scene_of(flow, tmp_path / "run", store=store, url=url, workers=workers)
    for number in range(STEPS[flow]):
        kept, done = await scene.kept(), len(scene.effects)
        assert sum(kept.values()) == number
        scene.work(kill_after=1)
        again = methods(scene.effects[done:])
        assert not {method for method in again if kept[method] and flow != "Looped"}
    done = len(scene.effects)
    scene.work()
    assert len(scene.effects) == done
    run = await scene.run()
    assert (run.state, run.attempts, run.steps) == ("succeeded", STEPS[flow] + 1, STEPS[flow])
    assert sum((await scene.kept()).values()) == STEPS[flow]


async def test_a_directory_is_taken_over_from_a_worker_that_was_killed(tmp_path: Path, workers: Workers) -> None:
    """However long its lease would have lasted: its lock ended with it."""
    place, effects = tmp_path / "runs", tmp_path / "effects"
    store = DirectoryRunStore(place, unix=unix)
    await store.add(NewRun(name="run-1", flow="Looped", inputs={"folder": str(tmp_path)}, code=""))
    await store.close()
    for kill in ({"kill_after": 3}, {"kill_before": 2}, {"kill_after": 1}):
        assert workers.work(run="run-1", url=str(place), lease_seconds=600, **kill) == -signal.SIGKILL
    assert workers.work(run="run-1", url=str(place), lease_seconds=600) == 0
    store = DirectoryRunStore(place, unix=unix)
    run = await store.run("run-1")
    await store.close()
    assert run
    assert (run.state, run.steps, run.attempts) == ("succeeded", STEPS["Looped"], 4)
    assert run.output == "draft 3 of ['draft', 'judge', 'draft', 'judge', 'draft', 'judge', 'publish']"
    # The fifth step was done, but not kept, when its worker died.
    assert methods(effects.read_text().splitlines()) == {"draft": 4, "judge": 3, "publish": 1}


async def test_a_worker_that_slept_through_its_lease_writes_nothing_more(
    tmp_path: Path, store: RedisRunStore, url: str, workers: Workers
) -> None:
    scene = await scene_of("Gated", tmp_path / "run", store=store, url=url, workers=workers)
    sleeper = workers.ask(do="start", run=scene.name, url=url)
    try:
        await until(lambda: methods(scene.effects)["two"] == 1)
        os.kill(sleeper, signal.SIGSTOP)
        second = workers.ask(do="start", run=scene.name, url=url)
        await until(lambda: methods(scene.effects)["two"] == 2)
        (scene.folder / "go").touch()
        assert workers.ask(do="wait", pid=second) == 0
        run, steps, events = await scene.run(), await store.steps(scene.name), await store.events(scene.name)
        assert (run.state, run.output, run.attempts, run.steps) == ("succeeded", "1111", 2, 3)
    finally:
        os.kill(sleeper, signal.SIGCONT)
    assert workers.ask(do="wait", pid=sleeper) == 0
    assert (await scene.run(), await store.steps(scene.name), await store.events(scene.name)) == (run, steps, events)
    assert methods(scene.effects) == {"one": 1, "two": 2, "three": 1}


async def until(condition: Callable[[], bool]) -> None:
    """Wait for another process."""
    async with asyncio.timeout(BOUND_SECONDS):
        while not condition():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.002)
