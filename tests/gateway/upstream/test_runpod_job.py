"""One job at Runpod: what is asked after it, and what becomes of looks that fail."""

import asyncio
import json
import math

import pytest

from gateway.errors import UpstreamFailed, UpstreamRefused, UpstreamTimeout, UpstreamUnreachable
from gateway.journey import Journey
from gateway.upstream.runpod_job import CANCEL_TRIES, Jobs, RunpodJob
from gateway.upstream.runpod_times import RunpodTimes
from gateway.upstream.transport import UpstreamRequest
from gateway.wire.header_lines import HeaderLines
from tests.doubles.clock import ManualClock
from tests.doubles.transport import FakeResponse, FakeTransport, Hang

KEY = HeaderLines([(b"authorization", b"Bearer rpa_key")])
TIMES = RunpodTimes().faster(1000.0)


def told(status: str, **more: object) -> FakeResponse:
    """What ``/status`` or ``/stream`` tell."""
    return FakeResponse(json.dumps({"id": "j-u1", "status": status} | more).encode())


class Bed:
    """A job whose looks are answered by a script."""

    def __init__(self, *script: FakeResponse | Exception | Hang, due: float = math.inf) -> None:
        self.http = FakeTransport(*script)
        self.clock = ManualClock()
        self.jobs = Jobs(self.http, name="routing/0", times=TIMES, clock=self.clock, draw=lambda: 0.5)
        self.journey = Journey()
        self.job = RunpodJob(self.jobs, job="j-u1", headers=KEY, due=due, journey=self.journey)

    def asked(self) -> list[bytes]:
        """What was asked for, in order."""
        return [each.method + b" " + each.path for each in self.http.requests]


async def test_what_a_status_tells_is_noted() -> None:
    bed = Bed(told("IN_QUEUE", delayTime=5), told("COMPLETED", delayTime=1500, executionTime=250, workerId="w1"))
    assert (await bed.job.status()).queued
    assert (bed.journey.job, bed.journey.worker, bed.journey.delay_seconds, bed.job.ended) == ("j-u1", "", None, False)
    assert (await bed.job.status()).completed
    journey = bed.journey
    assert (journey.worker, journey.delay_seconds, journey.execution_seconds) == ("w1", 1.5, 0.25)
    assert journey.worked_seconds_max == 0.25 * TIMES.second
    assert bed.job.ended
    assert bed.http.requests[0].headers == (KEY,)
    assert [each.closings for each in bed.http.answered] == [1, 1]


async def test_without_a_journey_nothing_is_noted() -> None:
    bed = Bed(told("COMPLETED"), told("IN_PROGRESS"))
    job = RunpodJob(bed.jobs, job="other", headers=KEY, due=math.inf, journey=None)
    assert (await job.status()).completed
    await bed.job.status()
    assert bed.journey.worker == ""


@pytest.mark.parametrize(
    "trouble",
    [
        FakeResponse(b"", status=500),
        FakeResponse(b"", status=429, headers=((b"retry-after-ms", b"1"),)),
        FakeResponse(b"<html>", status=200),
        FakeResponse(UpstreamFailed("broke")),
        UpstreamFailed("reset"),
        UpstreamUnreachable("no connection"),
    ],
)
async def test_a_look_that_fails_is_repeated(trouble: FakeResponse | Exception) -> None:
    bed = Bed(trouble, told("IN_PROGRESS"))
    assert (await bed.job.status()).status == "IN_PROGRESS"
    assert bed.asked() == [b"GET /status/j-u1"] * 2


@pytest.mark.parametrize("stream", [False, True])
async def test_a_key_that_is_refused_again_and_again_is_taken_for_meant(*, stream: bool) -> None:
    bed = Bed(*(FakeResponse(b"", status=401) for _ in range(3)))
    with pytest.raises(UpstreamRefused, match="api_key"):
        await (bed.job.drain() if stream else bed.job.status())
    assert not bed.job.ended


async def test_a_job_that_runpod_does_not_know_is_gone() -> None:
    """There is nothing left to cancel."""
    bed = Bed(FakeResponse(b"{}", status=404))
    with pytest.raises(UpstreamFailed, match="does not know the job"):
        await bed.job.status()
    assert bed.job.ended


async def test_it_is_asked_after_until_its_deadline() -> None:
    bed = Bed(due=1000.0)
    with pytest.raises(UpstreamTimeout, match="deadline"):
        await bed.job.status()
    with pytest.raises(UpstreamTimeout, match="deadline"):
        await bed.job.pause(1.0)
    assert bed.http.requests == []


class LateTransport(FakeTransport):
    """Each request takes time."""

    def __init__(self, clock: ManualClock, *script: FakeResponse | Exception) -> None:
        super().__init__(*script)
        self._clock = clock

    async def send(self, request: UpstreamRequest) -> FakeResponse:
        """Answer it later."""
        self._clock.advance(25.0)
        return await super().send(request)


@pytest.mark.parametrize("failed", [500, 0])
async def test_a_job_of_which_nothing_is_heard_is_given_up(failed: int) -> None:
    """Well before the request's deadline, so that another endpoint may serve it; any word of it counts."""
    clock = ManualClock()
    jobs = Jobs(FakeTransport(), name="routing/0", times=RunpodTimes(job_poll=0.001, job_poll_max=0.001), clock=clock)
    job = RunpodJob(jobs, job="j-u1", headers=KEY, due=math.inf, journey=None)
    script = [FakeResponse(b"", status=failed) if failed else UpstreamFailed("reset") for _ in range(5)]
    limited = FakeResponse(b"", status=429, headers=((b"retry-after-ms", b"1"),))
    jobs.http = http = LateTransport(clock, *script[:2], limited, *script[2:])
    with pytest.raises(UpstreamFailed, match="Nothing was heard of the job j-u1"):
        await job.status()
    assert len(http.requests) == 6
    assert not job.ended


async def test_a_look_that_hangs_lasts_to_the_deadline() -> None:
    bed = Bed(Hang(), told("IN_PROGRESS"), due=1000.02)
    assert (await bed.job.status()).status == "IN_PROGRESS"


async def test_a_look_at_a_stream_that_may_have_lost_pieces_says_so() -> None:
    bed = Bed(UpstreamFailed("reset"), FakeResponse(b"<html>"))
    assert await bed.job.drain() is None
    assert await bed.job.drain() is None


@pytest.mark.parametrize("status", [429, 500, 401])
async def test_a_refused_look_at_a_stream_lost_nothing(status: int) -> None:
    bed = Bed(
        FakeResponse(b"", status=status, headers=((b"retry-after-ms", b"1"),)),
        UpstreamUnreachable("no connection"),
        told("IN_PROGRESS", stream=[{"output": "a"}, {"output": "b"}]),
    )
    drained = await bed.job.drain()
    assert drained is not None
    assert drained.text() == b"ab"


async def test_a_cancellation_is_tried_a_few_times() -> None:
    bed = Bed(UpstreamFailed("reset"), FakeResponse(b"", status=500), told("CANCELLED"))
    await bed.job.cancel()
    assert bed.asked() == [b"POST /cancel/j-u1"] * 3
    in_vain = Bed(*(FakeResponse(b"", status=500) for _ in range(CANCEL_TRIES)))
    await in_vain.job.cancel()
    assert len(in_vain.asked()) == CANCEL_TRIES


async def test_the_more_jobs_the_fewer_looks() -> None:
    """A hundred looks a second in all: half of what Runpod takes."""
    jobs = Jobs(FakeTransport(), name="a", times=RunpodTimes(), clock=ManualClock(), draw=lambda: 0.5)
    made = [RunpodJob(jobs, job=str(each), headers=KEY, due=math.inf, journey=None) for each in range(200)]
    assert jobs.pause(0.1) == pytest.approx(2.0)
    for each in made:
        each.leave()
    assert jobs.pause(0.1) == pytest.approx(0.1)


async def test_who_is_cancelled_closes_the_look() -> None:
    hang = Hang()
    bed = Bed(FakeResponse(hang))
    looking = asyncio.ensure_future(bed.job.status())
    await hang.reached.wait()
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert bed.http.answered[0].closings == 1
