"""Runs that nobody was told of."""

import asyncio
from collections.abc import AsyncIterator, Container
from pathlib import Path

import pytest

from orchestrator.errors import StoreUnavailable
from orchestrator.host.dispatch import Work
from orchestrator.host.sweep import PAGE_RUNS, QUEUED_SECONDS, keep_sweeping, sweep
from orchestrator.runs.directory_store import DirectoryRunStore
from orchestrator.runs.run import NewRun
from tests.orchestrator.runs.clocks import ManualClock


class ListDispatch:
    """Remembers what it is told; some names wait already."""

    def __init__(self, *waiting: str) -> None:
        self.names: list[str] = []
        self._waiting = waiting

    async def enqueue(self, name: str) -> None:
        """One more."""
        self.names.append(name)

    async def serve(self, work: Work, *, at_once: int) -> None:
        """Nothing is served."""

    async def waiting(self) -> Container[str]:
        """What it was made with."""
        return self._waiting

    def drain(self) -> None:
        """Nothing is served."""


class AwayStore:
    """A store that is away at first."""

    def __init__(self) -> None:
        self.asked = 0

    async def lapsed(self) -> list[str]:
        """Away."""
        self.asked += 1
        raise StoreUnavailable("the store at s does not answer")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[DirectoryRunStore]:
    store = DirectoryRunStore(tmp_path, unix=clock.unix)
    yield store
    await store.close()


async def queue(store: DirectoryRunStore, clock: ManualClock, name: str, flow: str = "Mine") -> None:
    """Have a run wait."""
    clock.now += 1
    await store.add(NewRun(name=name, flow=flow, inputs={}, code=""))


async def test_lapsed_runs_come_first_then_queued_ones_the_oldest_first(
    store: DirectoryRunStore, clock: ManualClock
) -> None:
    """Only those of Flows that are hosted here."""
    for name in ("dead", "old", "new"):
        await queue(store, clock, name)
    await queue(store, clock, "foreign", "Other")
    await store.own("dead", owner="w-1", lease_seconds=30)
    clock.now += 31
    dispatch = ListDispatch()
    assert await sweep(store, dispatch, {"Mine"}, queued_before_unix=0.0) == 3
    assert dispatch.names == ["dead", "old", "new"]


async def test_what_waits_for_a_worker_already_is_not_handed_on_again(
    store: DirectoryRunStore, clock: ManualClock
) -> None:
    for name in ("dead", "told", "untold"):
        await queue(store, clock, name)
    await store.own("dead", owner="w-1", lease_seconds=30)
    clock.now += 31
    dispatch = ListDispatch("dead", "told")
    assert await sweep(store, dispatch, {"Mine"}, queued_before_unix=0.0) == 1
    assert dispatch.names == ["untold"]


async def test_young_queued_runs_are_left_to_those_who_asked_for_them(
    store: DirectoryRunStore, clock: ManualClock
) -> None:
    await queue(store, clock, "old")
    await queue(store, clock, "young")
    dispatch = ListDispatch()
    assert await sweep(store, dispatch, {"Mine"}) == 0
    assert await sweep(store, dispatch, {"Mine"}, queued_before_unix=clock.now) == 1
    assert dispatch.names == ["old"]


async def test_the_first_sweep_takes_all_that_are_queued_later_ones_now_and_then_the_old_ones(
    store: DirectoryRunStore, clock: ManualClock
) -> None:
    await queue(store, clock, "old")
    clock.now += QUEUED_SECONDS
    await queue(store, clock, "young")
    dispatch = ListDispatch()
    sweeping = asyncio.get_running_loop().create_task(
        keep_sweeping(store, dispatch, {"Mine"}, unix=clock.unix, say=print, every_seconds=0.0)
    )
    async with asyncio.timeout(10):
        while len(dispatch.names) < 3:  # noqa: ASYNC110 - another task's doing
            await asyncio.sleep(0)
    sweeping.cancel()
    assert dispatch.names[:3] == ["old", "young", "old"]


async def test_more_than_a_page_of_queued_runs_are_all_handed_on(store: DirectoryRunStore, clock: ManualClock) -> None:
    names = [f"run-{number}" for number in range(PAGE_RUNS + 2)]
    for name in names:
        await queue(store, clock, name)
    dispatch = ListDispatch()
    await sweep(store, dispatch, {"Mine"}, queued_before_unix=0.0)
    assert dispatch.names == names


async def test_a_store_that_is_away_is_said_and_asked_again() -> None:
    store, said = AwayStore(), list[str]()
    sweeping = asyncio.get_running_loop().create_task(
        keep_sweeping(
            store,  # type: ignore[arg-type]
            ListDispatch(),
            {"Mine"},
            unix=ManualClock().unix,
            say=said.append,
            every_seconds=0.001,
        )
    )
    async with asyncio.timeout(10):
        while store.asked < 2:  # noqa: ASYNC110 - another task's doing
            await asyncio.sleep(0.001)
    sweeping.cancel()
    assert said[0] == "sweep: the store at s does not answer"
