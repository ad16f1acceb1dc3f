"""A program that takes its jobs itself; ``tests/acceptance/crewai/test_batch.py`` has a real one."""

import asyncio
from pathlib import Path

import httpx
import pytest

from deploy.emulator.engines import job_taker
from deploy.emulator.engines.child import Program
from deploy.emulator.engines.job_taker import JobTaker


@pytest.fixture
def taker(tmp_path: Path) -> JobTaker:
    program = Program(
        name="worker-1", command=("true",), environment={}, port=1, health_path="/health", log=tmp_path / "log"
    )
    return JobTaker(program, httpx.AsyncClient(), print)


async def test_a_job_is_taken_once_and_ends_with_what_is_sent(taker: JobTaker) -> None:
    work = asyncio.ensure_future(taker.work("job-1", {"topic": "tea"}))
    assert await taker.take(1) == [{"id": "job-1", "input": {"topic": "tea"}}]
    taker.told("job-1", {"status": "IN_PROGRESS", "output": "half"})
    taker.told("job-2", {"output": "nobody's"})
    assert not work.done()
    taker.told("job-1", {"output": "whole"})
    assert await work == {"output": "whole"}


async def test_several_are_taken_at_once_and_no_more_than_asked_for(taker: JobTaker) -> None:
    jobs = [asyncio.ensure_future(taker.work(f"job-{number}", {})) for number in range(3)]
    await asyncio.sleep(0)
    assert [job["id"] for job in await taker.take(2)] == ["job-0", "job-1"]
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)


async def test_a_job_that_is_left_is_not_given_out_any_more(taker: JobTaker, monkeypatch: pytest.MonkeyPatch) -> None:
    work = asyncio.ensure_future(taker.work("job-1", {}))
    await asyncio.sleep(0)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    monkeypatch.setattr(job_taker, "TAKE_SECONDS", 0.01)
    assert await taker.take(1) == []
