"""Runs of one process, taken up in the order in which they were asked for."""

import asyncio
from contextlib import suppress

import pytest

from orchestrator.errors import StoreUnavailable
from orchestrator.host.dispatch import LocalDispatch


class Working:
    """Work that a test lets end."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.go: dict[str, asyncio.Event] = {}

    async def __call__(self, name: str) -> None:
        """One run."""
        self.begun.append(name)
        try:
            await self.go.setdefault(name, asyncio.Event()).wait()
        finally:
            self.ended.append(name)

    async def has_begun(self, count: int) -> None:
        """Wait until so many have."""
        async with asyncio.timeout(10):
            while len(self.begun) < count:  # noqa: ASYNC110 - another task's doing
                await asyncio.sleep(0)


async def test_as_many_as_there_is_room_for_in_order() -> None:
    dispatch, working = LocalDispatch(), Working()
    serving = asyncio.get_running_loop().create_task(dispatch.serve(working, at_once=2))
    for name in ("a", "b", "c", "d"):
        await dispatch.enqueue(name)
    await working.has_begun(2)
    assert (working.begun, dispatch.length) == (["a", "b"], 2)
    working.go["b"].set()
    await working.has_begun(3)
    assert (working.begun, dispatch.length) == (["a", "b", "c"], 1)
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving


async def test_a_name_that_waits_or_is_under_way_is_not_taken_twice() -> None:
    dispatch, working = LocalDispatch(), Working()
    await dispatch.enqueue("a")
    await dispatch.enqueue("a")
    assert dispatch.length == 1
    serving = asyncio.get_running_loop().create_task(dispatch.serve(working, at_once=2))
    await working.has_begun(1)
    await dispatch.enqueue("a")
    await dispatch.enqueue("b")
    await working.has_begun(2)
    assert working.begun == ["a", "b"]
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving


async def test_its_end_ends_what_is_under_way_and_waits_for_it() -> None:
    dispatch, working = LocalDispatch(), Working()
    serving = asyncio.get_running_loop().create_task(dispatch.serve(working, at_once=2))
    await dispatch.enqueue("a")
    await working.has_begun(1)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert working.ended == ["a"]


async def test_what_waits_is_told_and_a_drain_changes_nothing_where_there_is_no_other_worker() -> None:
    dispatch, working = LocalDispatch(), Working()
    await dispatch.enqueue("a")
    assert "a" in await dispatch.waiting()
    dispatch.drain()
    serving = asyncio.get_running_loop().create_task(dispatch.serve(working, at_once=2))
    await working.has_begun(1)
    assert "a" not in await dispatch.waiting()
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving


async def test_a_store_that_does_not_say_how_a_run_stands_stops_no_other_run() -> None:
    begun: list[str] = []

    async def work(name: str) -> None:
        begun.append(name)
        if name == "a":
            raise StoreUnavailable("the store at s does not answer")

    dispatch = LocalDispatch()
    serving = asyncio.get_running_loop().create_task(dispatch.serve(work, at_once=1))
    for name in ("a", "b"):
        await dispatch.enqueue(name)
    async with asyncio.timeout(10):
        while len(begun) < 2:  # noqa: ASYNC110 - another task's doing
            await asyncio.sleep(0)
    assert begun == ["a", "b"]
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving
