"""A run is a worker's, or nobody's: in whichever moment the worker is told to end."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.errors import StoreUnavailable
from orchestrator.runs.directory_store import DirectoryRunStore
from orchestrator.runs.owning import own
from orchestrator.runs.run import NewRun, RunState
from orchestrator.runs.store import Ownership
from tests.orchestrator.runs.clocks import ManualClock


class SlowStore(DirectoryRunStore):
    """Answers who owns a run when a test says so; the ownership is written before."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, unix=ManualClock().unix)
        self.written, self.go_on = asyncio.Event(), asyncio.Event()
        self.breaks = False

    async def own(self, name: str, *, owner: str, lease_seconds: float) -> Ownership | None:
        """Own it, and answer later."""
        ownership = await super().own(name, owner=owner, lease_seconds=lease_seconds)
        self.written.set()
        await self.go_on.wait()
        if self.breaks:
            raise StoreUnavailable("the store does not answer")
        return ownership


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SlowStore]:
    store = SlowStore(tmp_path)
    await store.add(NewRun(name="run-1", flow="Mine", inputs={}, code="c"))
    yield store
    await store.close()


async def test_a_run_is_owned_once(store: SlowStore) -> None:
    store.go_on.set()
    owned = await own(store, "run-1", owner="w-1", lease_seconds=30)
    assert owned is not None
    assert owned.owner == "w-1"
    assert await own(store, "run-1", owner="w-2", lease_seconds=30) is None


@pytest.mark.parametrize(("breaks", "left"), [(False, RunState.QUEUED), (True, RunState.RUNNING)])
async def test_who_is_cancelled_while_the_store_answers_owns_nothing(
    store: SlowStore, breaks: bool, left: RunState
) -> None:
    """Where the store then fails, too, the lease lapses."""
    store.breaks = breaks
    owning = asyncio.get_running_loop().create_task(own(store, "run-1", owner="w-1", lease_seconds=30))
    await store.written.wait()
    owning.cancel()
    await asyncio.sleep(0)
    assert not owning.done()
    store.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await owning
    run = await store.run("run-1")
    assert run is not None
    assert run.state is left
