"""The thread in which all runs are."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

import pytest

from orchestrator.host.flow_loop import FlowLoop

WHO: ContextVar[str] = ContextVar("who", default="nobody")


@pytest.fixture
def waits() -> list[float]:
    return []


@contextmanager
def prepared() -> Iterator[None]:
    """What every piece of work begins with."""
    WHO.set("prepared")
    yield


def unprepared() -> AbstractContextManager[None]:
    """What cannot be entered."""
    raise ValueError("no")


@pytest.fixture
def flows(waits: list[float]) -> Iterator[FlowLoop]:
    loop = FlowLoop(within=prepared, threads_max=4, observe_wait=waits.append)
    loop.start()
    yield loop
    loop.stop()


async def test_work_runs_in_its_own_thread_and_its_result_comes_back(flows: FlowLoop) -> None:
    async def work() -> tuple[str, asyncio.AbstractEventLoop]:
        await asyncio.sleep(0)
        return threading.current_thread().name, asyncio.get_running_loop()

    assert await flows.call(work) == ("flows", flows.loop)


async def test_what_it_raises_is_raised(flows: FlowLoop) -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        raise ValueError("cold oven")

    with pytest.raises(ValueError, match="cold oven"):
        await flows.call(work)


async def test_work_sees_the_prepared_context_and_never_the_callers_or_anothers(flows: FlowLoop) -> None:
    async def work() -> str:
        seen = WHO.get()
        WHO.set("changed by a run")
        await asyncio.sleep(0)
        return seen

    WHO.set("caller")
    assert {await flows.call(work) for _ in range(3)} == {"prepared"}


async def test_who_cancels_the_call_cancels_the_work_and_waits_for_its_end(flows: FlowLoop) -> None:
    begun, ended = threading.Event(), threading.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.02)
            ended.set()

    call = asyncio.get_running_loop().create_task(flows.call(work))
    assert await asyncio.to_thread(begun.wait, 10)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert ended.is_set()


async def test_work_that_is_cancelled_over_there_is_cancelled_here(flows: FlowLoop) -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await flows.call(work)


async def test_steps_that_block_have_threads_and_their_wait_is_told(flows: FlowLoop, waits: list[float]) -> None:
    together = threading.Barrier(4, timeout=10)

    async def work() -> None:
        await asyncio.to_thread(together.wait)

    await asyncio.gather(*(flows.call(work) for _ in range(4)))
    assert len(waits) == 4
    assert all(wait >= 0 for wait in waits)


async def test_a_turn_is_as_late_as_the_loop_is(flows: FlowLoop) -> None:
    inside, go = threading.Event(), threading.Event()

    async def hold_up() -> None:
        inside.set()
        go.wait(10)

    holding = asyncio.get_running_loop().create_task(flows.call(hold_up))
    assert await asyncio.to_thread(inside.wait, 10)
    turn = asyncio.get_running_loop().create_task(flows.turn())
    await asyncio.sleep(0.02)
    assert not turn.done()
    go.set()
    await asyncio.gather(turn, holding)


async def test_the_end_cancels_what_is_left_and_waits_for_no_thread(flows: FlowLoop) -> None:
    inside, go, cancelled = threading.Event(), threading.Event(), threading.Event()

    def block() -> None:
        inside.set()
        go.wait(20)

    async def work() -> None:
        try:
            await asyncio.to_thread(block)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    call = asyncio.get_running_loop().create_task(flows.call(work))
    assert await asyncio.to_thread(inside.wait, 10)
    await asyncio.to_thread(flows.stop)
    with pytest.raises(asyncio.CancelledError):
        await call
    assert cancelled.is_set()
    go.set()


def test_one_that_cannot_be_prepared_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.host.flow_loop.START_SECONDS_MAX", 0.05)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    with pytest.raises(RuntimeError, match="did not come up"):
        FlowLoop(within=unprepared).start()
