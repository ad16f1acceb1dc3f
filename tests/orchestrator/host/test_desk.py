"""The desk where it is not seen from outside; its verbs are in test_routes.py."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.host.desk import RunDesk, Wish
from orchestrator.host.dispatch import LocalDispatch
from orchestrator.host.refusals import Refused
from orchestrator.runs.directory_store import DirectoryRunStore
from orchestrator.runs.run import RunState
from orchestrator.runs.store import Ending
from tests.orchestrator.host.hosted import DoubleFlow
from tests.orchestrator.runs.clocks import ManualClock


class Desk:
    """A desk with no worker."""

    def __init__(self, directory: Path) -> None:
        clock = ManualClock()
        self.store = DirectoryRunStore(directory, unix=clock.unix)
        self.dispatch = LocalDispatch()
        self.desk = RunDesk(
            store=self.store,
            dispatch=self.dispatch,
            flows={"Double": DoubleFlow()},
            unix=clock.unix,
            new_name=iter(("first", "second")).__next__,
        )

    async def end(self, name: str) -> None:
        """As a worker would, somewhere else."""
        owned = await self.store.own(name, owner="elsewhere", lease_seconds=30)
        assert owned is not None
        await self.store.end(owned, Ending(state=RunState.SUCCEEDED))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    await desk.store.close()


async def test_a_run_is_queued_and_handed_on_under_a_fresh_name(desk: Desk) -> None:
    run, is_new = await desk.desk.ask("Double", Wish())
    assert (run.name, run.state, run.code, is_new) == ("first", RunState.QUEUED, "code-1", True)
    assert desk.dispatch.length == 1


async def test_who_waits_hears_of_the_end_that_another_worker_brought(desk: Desk) -> None:
    await desk.desk.ask("Double", Wish())
    waiting = asyncio.get_running_loop().create_task(desk.desk.ended("first", seconds_max=20))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await desk.end("first")
    assert (await waiting).state is RunState.SUCCEEDED


async def test_who_waits_hears_at_once_of_what_this_worker_brought_to_rest(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.host.desk.LOOK_SECONDS_MIN", 60)
    monkeypatch.setattr("orchestrator.host.desk.LOOK_SECONDS_MAX", 60)
    await desk.desk.ask("Double", Wish())
    waiting = asyncio.get_running_loop().create_task(desk.desk.ended("first", seconds_max=60))
    await asyncio.sleep(0.05)
    await desk.end("first")
    desk.desk.rested("first")
    async with asyncio.timeout(10):
        assert (await waiting).state is RunState.SUCCEEDED


async def test_nobody_waits_longer_than_asked_or_than_the_worker_stays(desk: Desk) -> None:
    await desk.desk.ask("Double", Wish())
    assert (await desk.desk.ended("first", seconds_max=0.01)).state is RunState.QUEUED
    waiting = asyncio.get_running_loop().create_task(desk.desk.ended("first", seconds_max=60))
    listening = asyncio.get_running_loop().create_task(all_events(desk, 60))
    await asyncio.sleep(0.02)
    desk.desk.leave()
    async with asyncio.timeout(10):
        assert (await waiting).state is RunState.QUEUED
        assert await listening == ["run.queued"]


async def all_events(desk: Desk, seconds_max: float) -> list[str]:
    """The types of a stream's events."""
    return [event.type async for event in desk.desk.events("first", after=0, seconds_max=seconds_max)]


async def test_a_stream_of_events_is_bounded(desk: Desk) -> None:
    await desk.desk.ask("Double", Wish())
    assert await all_events(desk, 0.05) == ["run.queued"]


async def test_a_run_of_a_flow_that_is_not_hosted_here_is_not_resumed_here(desk: Desk) -> None:
    await desk.desk.ask("Double", Wish())
    elsewhere = RunDesk(
        store=desk.store, dispatch=desk.dispatch, flows={}, unix=ManualClock().unix, new_name=lambda: "x"
    )
    with pytest.raises(Refused, match="not hosted here"):
        await elsewhere.resume("first", accept_changed_code=False)
