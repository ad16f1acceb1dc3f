"""A step's time is told apart: computing, and waiting for a thread. Its result and its errors are untouched."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from orchestrator.runs.meter import Meter


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


async def test_computing_on_the_loop_counts_and_waiting_does_not() -> None:
    meter = Meter()

    async def step(value: int, *, more: int) -> int:
        burn(0.01)
        await asyncio.sleep(0.05)
        burn(0.01)
        return value + more

    metered = meter.metered(step)
    assert asyncio.iscoroutinefunction(metered)
    assert await metered(1, more=2) == 3
    assert 0.02 <= meter.cpu_seconds < 0.05


async def test_computing_in_a_thread_counts_and_so_does_waiting_for_one() -> None:
    meter = Meter()
    with ThreadPoolExecutor(1) as threads:
        loop, free = asyncio.get_running_loop(), Event()
        threads.submit(free.wait, 10)
        metered = meter.metered(lambda: burn(0.01))
        loop.call_later(0.03, free.set)
        await loop.run_in_executor(threads, metered)
    assert meter.executor_wait_seconds >= 0.02
    assert 0.01 <= meter.cpu_seconds < 0.03


async def test_a_coroutine_that_a_plain_method_returns_is_measured_too() -> None:
    meter = Meter()

    async def later() -> str:
        burn(0.01)
        await asyncio.sleep(0)
        return "later"

    assert await meter.metered(lambda: later())() == "later"  # noqa: PLW0108 - not a coroutine function
    assert meter.cpu_seconds >= 0.01


async def test_errors_and_cancellations_pass_through() -> None:
    meter = Meter()

    async def fails() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            raise ValueError("was cancelled") from None

    task = asyncio.ensure_future(meter.metered(fails)())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(ValueError, match="was cancelled"):
        await task

    def broken() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        meter.metered(broken)()


def test_the_sums_are_ready_for_json() -> None:
    meter = Meter()
    meter.add(steps=1, step_seconds=0.12345678)
    meter.add(steps=1, calls=2)
    usage = meter.usage(seconds=1.0)
    assert (usage["seconds"], usage["steps"], usage["calls"], usage["step_seconds"]) == (1.0, 2, 2, 0.123457)
    assert "_lock" not in usage


def test_sums_are_of_the_run_and_of_each_step_and_name_the_slowest_layer() -> None:
    meter = Meter()
    meter.add("draft", calls=1, call_seconds=9.5, hold_seconds=8.0, answer_seconds=1.5)
    meter.add("draft", calls=1, call_seconds=1.0, generation_seconds=1.0)
    meter.add("check", calls=1, call_seconds=3.0, queue_seconds=2.0, first_token_seconds=1.0)
    meter.add(retries=1)
    usage = meter.usage(seconds=20.0)
    assert (usage["calls"], usage["hold_seconds"], usage["queue_seconds"], usage["retries"]) == (3, 8.0, 2.0, 1)
    assert usage["slowest_layer"] == "hold"
    assert usage["by_step"] == {
        "draft": {
            "calls": 2,
            "call_seconds": 10.5,
            "hold_seconds": 8.0,
            "answer_seconds": 1.5,
            "generation_seconds": 1.0,
            "slowest_layer": "hold",
        },
        "check": {
            "calls": 1,
            "call_seconds": 3.0,
            "queue_seconds": 2.0,
            "first_token_seconds": 1.0,
            "slowest_layer": "queue",
        },
    }


def test_where_nothing_took_time_no_layer_was_slow() -> None:
    assert Meter().usage(seconds=0.0)["slowest_layer"] == ""


async def test_a_steps_own_time_is_of_that_step() -> None:
    meter = Meter()

    async def step() -> None:
        burn(0.01)

    await meter.metered(step, step="draft")()
    await asyncio.to_thread(meter.metered(lambda: burn(0.01), step="check"))
    by_step = meter.usage(seconds=1.0)["by_step"]
    assert isinstance(by_step, dict)
    assert {name: set(sums) for name, sums in by_step.items() if isinstance(sums, dict)} == {
        "draft": {"cpu_seconds", "slowest_layer"},
        "check": {"cpu_seconds", "executor_wait_seconds", "slowest_layer"},
    }
