"""Runs that ended long ago."""

import asyncio
from pathlib import Path

from orchestrator.errors import StoreUnavailable
from orchestrator.host.forgetting import DAY_SECONDS, keep_forgetting
from orchestrator.runs.directory_store import DirectoryRunStore
from orchestrator.runs.run import NewRun, RunState
from orchestrator.runs.store import Ending
from tests.orchestrator.runs.clocks import ManualClock


class AwayOnce:
    """A store that is away at first."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def forget(self, *, before_unix: float) -> int:
        """Away the first time, then nothing to forget."""
        self.asked.append(before_unix)
        if len(self.asked) == 1:
            raise StoreUnavailable("the store at s does not answer")
        return 0


async def ended(store: DirectoryRunStore, name: str) -> None:
    """A run that ends now."""
    await store.add(NewRun(name=name, flow="Mine", inputs={}, code=""))
    taken = await store.own(name, owner="w-1", lease_seconds=30)
    assert taken is not None
    await store.end(taken, Ending(state=RunState.SUCCEEDED))


async def test_what_ended_long_ago_goes_and_the_rest_stays(tmp_path: Path) -> None:
    """Also what has not ended, however old it is."""
    clock, said = ManualClock(), list[str]()
    store = DirectoryRunStore(tmp_path, unix=clock.unix)
    await store.add(NewRun(name="waits", flow="Mine", inputs={}, code=""))
    await ended(store, "old")
    clock.now += 6 * DAY_SECONDS
    await ended(store, "new")
    clock.now += 2 * DAY_SECONDS
    task = asyncio.get_running_loop().create_task(keep_forgetting(store, days=7, unix=clock.unix, say=said.append))
    async with asyncio.timeout(10):
        while not said:  # noqa: ASYNC110 - another task's doing
            await asyncio.sleep(0.001)
    task.cancel()
    assert said == ["forgetting: 1 runs that ended more than 7 days ago"]
    assert {run.name for run in await store.runs()} == {"waits", "new"}
    await store.close()


async def test_nothing_is_forgotten_where_runs_are_kept_for_ever() -> None:
    store = AwayOnce()
    await keep_forgetting(store, days=0, unix=lambda: 0.0, say=str)  # type: ignore[arg-type]
    assert store.asked == []


async def test_a_store_that_is_away_is_said_and_asked_again() -> None:
    store, said = AwayOnce(), list[str]()
    task = asyncio.get_running_loop().create_task(
        keep_forgetting(store, days=1, unix=lambda: 1e6, say=said.append, every_seconds=0.001)  # type: ignore[arg-type]
    )
    async with asyncio.timeout(10):
        while len(store.asked) < 2:  # noqa: ASYNC110 - another task's doing
            await asyncio.sleep(0.001)
    task.cancel()
    assert said == ["forgetting: the store at s does not answer"]
    assert store.asked[0] == 1e6 - DAY_SECONDS
