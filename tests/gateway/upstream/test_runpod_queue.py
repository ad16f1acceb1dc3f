"""A queue endpoint of Runpod, by what it answers."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.errors import UpstreamAnswered, UpstreamFailed, UpstreamRefused, UpstreamTimeout
from gateway.journey import Journey
from gateway.upstream.errands import Errands
from gateway.upstream.runpod_job_stream import JobStream
from gateway.upstream.runpod_queue import BODY_BYTES_MAX, RunpodQueue
from gateway.upstream.runpod_times import RunpodTimes
from gateway.upstream.transport import UpstreamRequest
from gateway.upstream.warmth import Warmth
from gateway.wire.header_lines import HeaderLines
from tests.doubles.clock import ManualClock
from tests.doubles.transport import EVENTS, JSON, FakeResponse, FakeTransport, Gate, Hang
from tests.gateway.upstream.queue_tier import TIER
from tests.gateway.upstream.test_runpod_job import KEY, told
from tests.stores import eventually
from tiers.tiermap import Endpoint, Timeouts, Workers
from tiers.warmth import Sample

ANSWER = b'{"choices": [1.0], "usage": {"completion_tokens": 100}}'
REFUSAL = b'{"error":{"message":"no such model","type":"NotFoundError","param":null,"code":404}}'
WRAPPED = repr({"error": {"message": "vLLM returned HTTP 404: " + REFUSAL.decode(), "type": "worker_error"}})
ACCEPTED = b'{"id":"j-u1","status":"IN_QUEUE"}'
CHAT = b"/v1/chat/completions"


def run() -> FakeResponse:
    """The answer to ``/run``."""
    return FakeResponse(ACCEPTED)


def done(output: bytes = b"[" + ANSWER + b"]", **more: object) -> FakeResponse:
    """A completed job."""
    rest = json.dumps({"status": "COMPLETED", "executionTime": 1000} | more)
    return FakeResponse(rest[:-1].encode() + b', "output":' + output + b"}")


class Bed:
    """A queue whose answers are a script, and where waits take no time to speak of."""

    def __init__(
        self, *script: FakeResponse | Exception | Hang, warm: bool = False, poll: float = 0.001, headers: float = 600.0
    ) -> None:
        self.http = FakeTransport(*script)
        self.clock = ManualClock()
        self.errands = Errands()
        times = RunpodTimes(job_poll=poll, job_poll_max=poll, stream_poll=poll)
        self.warmth = Warmth(base="https://api.runpod.test/v2/e", workers=Workers(), clock=self.clock, times=times)
        if warm:
            self.warmth.heard(Sample(ready=1, running=1, in_progress=1))
            self.warmth.answered()
        self.journey = Journey()
        self.queue = RunpodQueue(
            self.http,
            endpoint=Endpoint(
                name="routing/0", url=self.warmth.base, transport="runpod-queue", timeouts=Timeouts(headers=headers)
            ),
            tier=TIER,
            warmth=self.warmth,
            times=times,
            clock=self.clock,
            errands=self.errands,
        )

    def request(
        self, body: bytes = b"{}", *, path: bytes = CHAT, due: float = math.inf, journey: bool = True
    ) -> UpstreamRequest:
        """A request with a header of the caller's."""
        return UpstreamRequest(
            method=b"POST",
            path=path,
            headers=(HeaderLines([(b"x-callers", b"own")]), KEY),
            body=body,
            due=due,
            journey=self.journey if journey else None,
        )

    def asked(self) -> list[bytes]:
        """What was asked for, in order."""
        return [each.method + b" " + each.path for each in self.http.requests]

    async def cancelled(self) -> bool:
        """Whether a job was cancelled, when all errands are done."""
        await self.errands.finish(5.0)
        return b"POST /cancel/j-u1" in self.asked()


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., Bed]]:
    """Makes beds, which are closed at the end."""
    beds: list[Bed] = []

    def one(*script: FakeResponse | Exception | Hang, **more: object) -> Bed:
        beds.append(Bed(*script, **more))  # type: ignore[arg-type]
        return beds[-1]

    yield one
    for bed in beds:
        await bed.errands.finish(0.0)
        await bed.queue.aclose()
        assert bed.http.closed


Make = Callable[..., Bed]


async def test_a_warm_stream_is_the_routes_very_own(make: Make) -> None:
    """The object that came, with the caller's headers on the request."""
    answer = FakeResponse(b"data: {}\n\n", headers=EVENTS)
    bed = make(answer, warm=True)
    assert await bed.queue.send(bed.request(b'{"stream":true}')) is answer
    assert bed.asked() == [b"POST /openai/v1/chat/completions"]
    assert [lines.fields for lines in bed.http.requests[0].headers] == [[(b"x-callers", b"own")], KEY.fields]
    assert (bed.journey.way, bed.journey.cold, bed.journey.tries, answer.closings) == ("route", False, 1, 0)


async def test_a_warm_answer_is_the_routes(make: Make) -> None:
    bed = make(FakeResponse(ANSWER, headers=(*JSON, (b"x-a", b"b"))), warm=True)
    answer = await bed.queue.send(bed.request(journey=False))
    assert (answer.status, await answer.read(1000), answer.headers[-1]) == (200, ANSWER, (b"x-a", b"b"))
    assert bed.http.answered[0].closings == 1


@pytest.mark.parametrize("body", [b'{"max_tokens":100}', b"{}"])
async def test_a_cold_answer_is_a_jobs(make: Make, body: bytes) -> None:
    """Byte for byte; Runpod hears nothing of the caller's headers."""
    bed = make(run(), told("IN_QUEUE"), told("IN_PROGRESS", workerId="w"), done())
    answer = await bed.queue.send(bed.request(body, due=1060.0))
    assert (answer.status, await answer.read(1000), answer.headers) == (200, ANSWER, JSON)
    assert bed.asked() == [b"POST /run", *[b"GET /status/j-u1"] * 3]
    assert [lines.fields for lines in bed.http.requests[0].headers] == [[*KEY.fields, *JSON]]
    sent = json.loads(bed.http.requests[0].body)
    assert sent["input"] == {"openai_route": CHAT.decode(), "openai_input": json.loads(body)}
    assert sent["policy"] == {"executionTimeout": 60_000, "ttl": 70_000}
    assert (bed.journey.way, bed.journey.cold, bed.journey.job, bed.journey.worker) == ("job", True, "j-u1", "w")
    assert bed.warmth.ready
    assert not await bed.cancelled()


@pytest.mark.parametrize(
    ("due", "execution", "ttl"), [(math.inf, 600_000, 610_000), (1000.1, 5_000, 10_100), (1000.0001, 5_000, 10_000)]
)
async def test_a_jobs_times_stay_within_runpods_limits(make: Make, due: float, execution: int, ttl: int) -> None:
    bed = make(run(), done())
    await bed.queue.send(bed.request(due=due))
    assert json.loads(bed.http.requests[0].body)["policy"] == {"executionTimeout": execution, "ttl": ttl}


@pytest.mark.parametrize(
    ("body", "path", "expected"),
    [
        (b'{"max_tokens":4000}', CHAT, "job"),
        (b'{"max_tokens":4000,"stream":true}', CHAT, "route"),
        (b'{"max_tokens":1000}', CHAT, "route"),
        (b"{}", CHAT, "route"),
        (b"{}", b"/v1/embeddings", "route"),
    ],
)
async def test_a_warm_request_that_may_take_too_long_for_the_edge_is_a_job(
    make: Make, body: bytes, path: bytes, expected: str
) -> None:
    bed = make(UpstreamFailed("as far as here"), warm=True)
    with pytest.raises(UpstreamFailed):
        await bed.queue.send(bed.request(body, path=path))
    assert bed.journey.way == expected


async def test_one_for_which_there_is_no_room_or_no_time_or_no_proof_is_a_job(make: Make) -> None:
    full, queued, late, resting, new = [make(run(), done(), warm=True) for _ in range(5)]
    full.warmth.under_way = 31
    queued.warmth.heard(Sample(running=1, in_progress=30, in_queue=3000))
    resting.clock.advance(61.0)
    new.warmth.sample = None
    for bed, due in ((full, math.inf), (queued, math.inf), (late, 1003.0), (resting, math.inf), (new, math.inf)):
        await bed.queue.send(bed.request(due=due))
        assert bed.journey.way == "job"


async def test_what_an_endpoint_can_do_is_learned_of_its_answers(make: Make) -> None:
    """A fast one takes longer answers over the route, after some jobs."""
    bed = make(*(each for _ in range(6) for each in (run(), done())), FakeResponse(ANSWER), warm=True)
    ways = []
    for _ in range(7):
        await bed.queue.send(bed.request(b'{"max_tokens":4000}'))
        ways.append(bed.journey.way)
    assert ways == [*["job"] * 6, "route"]


async def test_a_cut_by_the_edge_is_told_remembered_and_not_repeated(make: Make) -> None:
    bed = make(FakeResponse(b"<html>", status=524), run(), done(), warm=True)
    with pytest.raises(UpstreamTimeout, match="cannot be cancelled"):
        await bed.queue.send(bed.request(b'{"max_tokens":1000}'))
    assert bed.http.answered[0].closings == 1
    assert bed.warmth.doubted
    await bed.queue.send(bed.request(b'{"max_tokens":1000}'))
    assert bed.asked()[1] == b"POST /run"


@pytest.mark.parametrize(
    ("failed", "status"), [({"error": WRAPPED}, 500), ({"status": "FAILED", "error": WRAPPED}, 200)]
)
@pytest.mark.parametrize("body", [b"{}", b'{"stream":true}'])
async def test_vllms_refusal_on_the_route_gets_its_status_back(
    make: Make, failed: object, status: int, body: bytes
) -> None:
    bed = make(FakeResponse(json.dumps(failed).encode(), status=status), warm=True)
    answer = await bed.queue.send(bed.request(body))
    assert (answer.status, await answer.read(1000)) == (404, REFUSAL)


@pytest.mark.parametrize(
    ("told_by_route", "with_status", "status", "said"),
    [
        (b'{"error":"Traceback (most recent call last):\\n x\\nOops"}', 500, 500, b'"Oops"'),
        (b'{"status":"TIMED_OUT"}', 200, 502, b"The job failed."),
        (b'{"error":"slow down"}', 429, 429, b"slow down"),
        (b'{"status":"FAILED', 200, 200, b"FAILED"),
        (b'{"status":"completed","error":null}', 200, 200, b"completed"),
    ],
)
async def test_any_other_failure_on_the_route_stays_one(
    make: Make, told_by_route: bytes, with_status: int, status: int, said: bytes
) -> None:
    bed = make(FakeResponse(told_by_route, status=with_status), warm=True)
    answer = await bed.queue.send(bed.request())
    body = await answer.read(1000)
    assert (answer.status, said in body, b"Traceback" in body) == (status, True, False)


async def test_a_route_that_breaks_is_for_the_course_of_tries(make: Make) -> None:
    bed = make(UpstreamFailed("reset"), warm=True)
    with pytest.raises(UpstreamFailed, match="reset"):
        await bed.queue.send(bed.request())
    assert bed.warmth.doubted


@pytest.mark.parametrize("body", [b"{}", b'{"stream":true}'])
async def test_vllms_refusal_of_a_job_gets_its_status_back(make: Make, body: bytes) -> None:
    bed = make(run(), told("FAILED", error=WRAPPED))
    answer = await bed.queue.send(bed.request(body))
    assert (answer.status, await answer.read(1000)) == (404, REFUSAL)


async def test_a_stream_that_was_taken_and_then_refused_is_a_refusal(make: Make) -> None:
    bed = make(run(), told("IN_PROGRESS"), told("FAILED"), told("FAILED", error=WRAPPED))
    answer = await bed.queue.send(bed.request(b'{"stream":true}'))
    assert answer.status == 404
    assert not await bed.cancelled()


@pytest.mark.parametrize(
    ("end", "error", "says"),
    [
        ({"status": "FAILED", "error": "job timed out after 1 retries"}, UpstreamAnswered, "its worker ended"),
        ({"status": "FAILED"}, UpstreamAnswered, "no reason given"),
        ({"status": "CANCELLED"}, UpstreamAnswered, "CANCELLED"),
        ({"status": "TIMED_OUT"}, UpstreamTimeout, "longer than it had time"),
        ({"status": "SOMETHING_NEW"}, UpstreamAnswered, "SOMETHING_NEW"),
        ({"status": "COMPLETED"}, UpstreamFailed, "without an answer"),
        ({"status": "COMPLETED", "output": [{"error": "odd", "status": "FAILED"}]}, UpstreamFailed, "answer. odd"),
    ],
)
async def test_a_job_that_ends_without_an_answer_is_an_error(
    make: Make, end: object, error: type[Exception], says: str
) -> None:
    bed = make(run(), FakeResponse(json.dumps(end).encode()))
    with pytest.raises(error, match=says):
        await bed.queue.send(bed.request(journey=False))
    assert not await bed.cancelled()


async def test_a_job_that_runpod_lost_is_an_error_and_not_cancelled(make: Make) -> None:
    bed = make(run(), FakeResponse(b"{}", status=404))
    with pytest.raises(UpstreamFailed, match="does not know the job"):
        await bed.queue.send(bed.request())
    assert not await bed.cancelled()


async def test_a_cold_stream_begins_with_its_first_piece_and_is_cancelled_if_left(make: Make) -> None:
    bed = make(run(), told("IN_QUEUE"), told("IN_PROGRESS"), told("IN_PROGRESS", stream=[{"output": "data"}]))
    answer = await bed.queue.send(bed.request(b'{"stream":true}'))
    assert isinstance(answer, JobStream)
    assert await answer.chunk() == b"data"
    bed.http.then(told("CANCELLED"))
    await answer.aclose()
    assert await bed.cancelled()


async def test_who_leaves_while_a_job_waits_cancels_it(make: Make) -> None:
    hang = Hang()
    bed = make(run(), hang)
    sending = asyncio.ensure_future(bed.queue.send(bed.request()))
    await hang.reached.wait()
    bed.http.then(told("CANCELLED"))
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert await bed.cancelled()


async def test_who_leaves_before_the_job_has_an_id_cancels_it_later(make: Make) -> None:
    """And without waiting for it."""
    gate = Gate()
    bed = make(gate, run(), told("CANCELLED"))
    sending = asyncio.ensure_future(bed.queue.send(bed.request()))
    await gate.reached.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    gate.opened.set()
    assert await bed.cancelled()


async def test_a_job_that_was_never_made_is_not_cancelled(make: Make) -> None:
    gate = Gate()
    bed = make(gate, FakeResponse(b"", status=500))
    sending = asyncio.ensure_future(bed.queue.send(bed.request()))
    await gate.reached.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    gate.opened.set()
    assert not await bed.cancelled()


@pytest.mark.parametrize(
    ("status", "body", "error", "says"),
    [
        (400, b'{"error":"ttl is off"}', UpstreamFailed, "ttl is off"),
        (413, b"", UpstreamFailed, "no reason given"),
        (404, b"", UpstreamRefused, "Check its url"),
        (200, b"{}", UpstreamFailed, "no id"),
        (0, b"", UpstreamFailed, "reset"),
    ],
)
async def test_a_job_that_is_not_taken_is_an_error_and_not_sent_again(
    make: Make, status: int, body: bytes, error: type[Exception], says: str
) -> None:
    bed = make(FakeResponse(body, status=status) if status else UpstreamFailed("reset"))
    with pytest.raises(error, match=says):
        await bed.queue.send(bed.request())
    assert len(bed.http.requests) == 1
    assert bed.warmth.wakes == 0


@pytest.mark.parametrize("status", [401, 429, 500, 503])
async def test_runpods_own_answer_to_a_job_is_passed_on(make: Make, status: int) -> None:
    """The course of tries knows what to do about it."""
    bed = make(FakeResponse(b"x", status=status, headers=((b"retry-after", b"3"),)))
    answer = await bed.queue.send(bed.request())
    assert (answer.status, answer.headers, await answer.read(10)) == (status, ((b"retry-after", b"3"),), b"x")


async def test_a_run_that_hangs_is_given_up_at_the_deadline(make: Make) -> None:
    bed = make(Hang())
    with pytest.raises(UpstreamTimeout, match="did not say in time"):
        await bed.queue.send(bed.request(due=1000.02))


async def test_a_job_that_never_ends_is_given_up_after_the_headers_timeout(make: Make) -> None:
    bed = make(run(), told("IN_PROGRESS"), told("IN_QUEUE"), told("IN_PROGRESS"), headers=30.0)
    gate = Gate()
    bed.http.then(gate, told("IN_PROGRESS"), told("CANCELLED"))
    sending = asyncio.ensure_future(bed.queue.send(bed.request()))
    await gate.reached.wait()
    bed.clock.advance(31.0)
    gate.opened.set()
    with pytest.raises(UpstreamTimeout, match="timeout headers"):
        await sending
    assert await bed.cancelled()


async def test_a_request_too_large_for_a_job_takes_the_route_or_is_refused(make: Make) -> None:
    body = b'{"x":"' + b"x" * BODY_BYTES_MAX + b'"}'
    cold, warm = make(), make(FakeResponse(ANSWER), warm=True)
    answer = await cold.queue.send(cold.request(body))
    assert (answer.status, json.loads(await answer.read(1000))["error"]["code"]) == (413, "body_too_large")
    assert (await warm.queue.send(warm.request(body))).status == 200
    assert warm.asked() == [b"POST /openai/v1/chat/completions"]


async def test_a_wake_is_one_job_that_is_watched(make: Make) -> None:
    gate = Gate()
    bed = make(run(), gate, told("COMPLETED"))
    await bed.queue.wake((KEY,))
    await bed.queue.wake((KEY,))
    assert json.loads(bed.http.requests[0].body)["input"]["openai_route"] == "/v1/models"
    assert bed.warmth.wakes == 1
    gate.opened.set()
    await eventually(lambda: bed.warmth.ready)


async def test_a_wake_that_fails_is_worth_a_look(make: Make) -> None:
    bed = make(run(), FakeResponse(b"", status=404))
    await bed.queue.wake((KEY,))
    await eventually(lambda: bed.warmth.doubted)


async def test_a_wake_that_is_refused_says_so(make: Make) -> None:
    bed = make(FakeResponse(b"", status=401))
    with pytest.raises(UpstreamAnswered, match="401"):
        await bed.queue.wake([])
