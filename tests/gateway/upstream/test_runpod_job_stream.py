"""The stream of a job, as its reader sees it."""

import json
import math

import pytest

from gateway.errors import UpstreamFailed, UpstreamTimeout
from gateway.upstream.runpod_job import Jobs, RunpodJob
from gateway.upstream.runpod_job_stream import JobStream
from tests.doubles.clock import ManualClock
from tests.doubles.transport import FakeResponse, FakeTransport
from tests.gateway.upstream.test_runpod_job import KEY, TIMES, told
from tiers.tiermap import Timeouts


class LateClock(ManualClock):
    """Time passes whenever it is looked at."""

    def __init__(self, step: float) -> None:
        super().__init__()
        self._step = step

    def monotonic(self) -> float:
        """The time, a step later each time."""
        self.advance(self._step)
        return super().monotonic()


def came(*pieces: str, status: str = "IN_PROGRESS") -> FakeResponse:
    """What one look at a stream hands out."""
    return told(status, stream=[{"output": each} for each in pieces])


class Bed:
    """A stream whose looks are answered by a script; ``left`` is what was told of the reader's end."""

    def __init__(self, *script: FakeResponse | Exception, step: float = 0.0, idle: float = 60.0) -> None:
        self.http = FakeTransport(*script)
        clock = LateClock(step)
        jobs = Jobs(self.http, name="routing/0", times=TIMES, clock=clock, draw=lambda: 0.5)
        self.job = RunpodJob(jobs, job="j-u1", headers=KEY, due=math.inf, journey=None)
        self.left: list[RunpodJob] = []
        self.stream = JobStream(self.job, times=TIMES, timeouts=Timeouts(idle=idle), clock=clock, left=self.left.append)


async def test_pieces_are_passed_on_as_they_come() -> None:
    bed = Bed(came(), came("a", "b"), came(), came("c"), came("d", status="COMPLETED"), told("COMPLETED"))
    stream = bed.stream
    assert await stream.begin()
    assert (stream.status, dict(stream.headers)[b"content-type"]) == (200, b"text/event-stream; charset=utf-8")
    assert [await stream.chunk() for _ in range(2)] == [b"ab", b"c"]
    assert not stream.complete
    assert [await stream.chunk() for _ in range(3)] == [b"d", b"", b""]
    assert stream.complete


async def test_its_head_waits_for_the_first_piece_which_is_not_lost() -> None:
    bed = Bed(came(), came("a"), came(status="COMPLETED"), told("COMPLETED", output=["a"]))
    assert await bed.stream.begin()
    assert len(bed.http.requests) == 2
    assert await bed.stream.read(10) == b"a"


async def test_a_reader_may_take_as_much_as_it_wants() -> None:
    bed = Bed(came("a"), came("b"), came("c", status="COMPLETED"), told("COMPLETED"))
    taken: list[bytes] = []

    def take(piece: bytes) -> bool:
        taken.append(piece)
        return len(taken) != 1

    await bed.stream.begin()
    await bed.stream.pump(take)
    assert taken == [b"a"]
    await bed.stream.pump(take)
    assert taken == [b"a", b"b", b"c"]


async def test_a_stream_over_a_readers_limit_is_refused() -> None:
    bed = Bed(came("abc"))
    with pytest.raises(UpstreamFailed, match="more than 2 bytes"):
        await bed.stream.read(2)


@pytest.mark.parametrize("output", [["a", "b", "c"], "abc"])
async def test_what_a_lost_look_took_along_is_added_at_the_end(output: object) -> None:
    """The completed job has it all."""
    bed = Bed(came("a"), UpstreamFailed("reset"), told("IN_PROGRESS"), told("COMPLETED", output=output))
    assert await bed.stream.read(10) == b"abc"
    assert bed.stream.complete


async def test_what_a_lost_look_took_along_for_ever_breaks_the_stream() -> None:
    bed = Bed(came("a"), UpstreamFailed("reset"), told("COMPLETED"))
    with pytest.raises(UpstreamFailed, match="not what it gave in all"):
        await bed.stream.read(10)


async def test_a_stream_that_is_not_what_the_job_gave_is_broken() -> None:
    """Such as one whose second half is a second try's."""
    bed = Bed(came("a"), came("x", status="COMPLETED"), told("COMPLETED", output=["a", "b"]))
    assert await bed.stream.chunk() == b"a"
    with pytest.raises(UpstreamFailed, match="not what it gave in all"):
        await bed.stream.chunk()


@pytest.mark.parametrize("ends", [["IN_QUEUE"], ["FAILED", "IN_QUEUE"]])
async def test_an_answer_that_the_platform_begins_anew_is_broken(ends: list[str]) -> None:
    bed = Bed(came("a"), *(came(status=each) for each in ends))
    assert await bed.stream.chunk() == b"a"
    with pytest.raises(UpstreamFailed, match="anew"):
        await bed.stream.chunk()


async def test_a_job_that_is_begun_anew_before_its_first_piece_is_waited_for() -> None:
    bed = Bed(came(), came(status="IN_QUEUE"), came(), came("a"))
    assert await bed.stream.begin()


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED", "TIMED_OUT"])
async def test_a_job_that_fails_within_its_answer_breaks_the_stream(status: str) -> None:
    bed = Bed(came("a"), came(status=status), told(status, error=json.dumps({"error_message": "CUDA error"})))
    assert await bed.stream.chunk() == b"a"
    with pytest.raises(UpstreamFailed, match=rf"{status}\). CUDA error"):
        await bed.stream.chunk()
    assert not bed.stream.complete


async def test_a_job_that_fails_before_its_answer_says_why() -> None:
    bed = Bed(came(status="FAILED"), told("FAILED", error="x"))
    assert not await bed.stream.begin()
    assert bed.stream.failure is not None
    assert bytes(bed.stream.failure.error) == b'"x"'


async def test_silence_within_an_answer_is_a_timeout() -> None:
    bed = Bed(came("a"), *(came() for _ in range(50)), step=0.5, idle=5.0)
    assert await bed.stream.chunk() == b"a"
    with pytest.raises(UpstreamTimeout, match="timeout idle"):
        await bed.stream.chunk()


async def test_a_reader_in_a_hurry_waits_less() -> None:
    bed = Bed(came("a"), *(came() for _ in range(50)), step=0.5, idle=1000.0)
    bed.stream.hurry(2.0)
    assert await bed.stream.chunk() == b"a"
    with pytest.raises(UpstreamTimeout, match="2 s"):
        await bed.stream.chunk()


async def test_before_the_first_piece_another_limit_holds() -> None:
    bed = Bed(*(came() for _ in range(50)), came("a"), step=0.5, idle=1.0)
    assert await bed.stream.begin()


async def test_who_leaves_says_so_once() -> None:
    bed = Bed(came("a"))
    await bed.stream.begin()
    await bed.stream.aclose()
    await bed.stream.aclose()
    assert bed.left == [bed.job]
