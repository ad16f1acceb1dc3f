"""A Runpod endpoint with a queue: over its OpenAI route where that is safe, else as a job. See ``tiers.runpod_way``.

Whichever way a request goes, what comes back is the same: vLLM's answer, its stream, or its refusal with vLLM's own
status. What cannot be taken back is never sent twice: after the edge's 524, and after a ``/run`` whose answer was lost,
a job may exist whose id nobody knows. Its execution timeout and time to live bound what it can cost.
"""

import asyncio
import math
from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.errors import UpstreamAnswered, UpstreamFailed, UpstreamRefused, UpstreamTimeout
from gateway.exchange import Clock
from gateway.upstream.errands import Errands
from gateway.upstream.runpod_job import ANSWER_BYTES_MAX, Jobs, RunpodJob
from gateway.upstream.runpod_job_stream import JobStream
from gateway.upstream.runpod_times import RunpodTimes
from gateway.upstream.transport import Headers, Transport, UpstreamRequest, UpstreamResponse
from gateway.upstream.warmth import Warmth
from gateway.upstream.whole_answer import WholeAnswer
from gateway.wire.header_lines import HeaderLines
from gateway.wire.job import RUN_BYTES_MAX, WAKE, Asked, Job, accepted, asked, job_body, run_body, told_tokens, whole
from gateway.wire.job_error import job_error
from tiers.runpod_way import FIRST_SECONDS, TOKEN_SECONDS, Speed, answered, misjudged, streamed, way
from tiers.tiermap import Endpoint, Tier

DUE_SECONDS: Final = 600.0
"""The deadline of a request that has none."""
RUN_SECONDS_MAX: Final = 30.0
"""How long ``/run`` may take: it only takes note of a job."""
WAKE_SECONDS: Final = 600.0
"""How long a job that is only to wake a worker may exist at Runpod: the longest cold starts take about as long."""
BODY_BYTES_MAX: Final = RUN_BYTES_MAX - 1024
"""The largest request that fits into a job."""
_TTL_SECONDS_MIN: Final = 10.0
_EXECUTION_SECONDS_MIN: Final = 5.0
_JSON: Final = ((b"content-type", b"application/json"),)
_ENGINE_SAID: Final = b"vLLM returned HTTP "
_RUNPOD_SAID: Final = b'"status"'
_CUT_BY_THE_EDGE: Final = 524
_OK: Final = 200
_ERRORS: Final = 400
_UNFIT: Final = frozenset({400, 404, 405, 413, 422})
_SERVER_ERRORS: Final = 500


class RunpodQueue:
    """Fulfils ``Transport`` and ``Waking``."""

    __slots__ = (
        "_clock", "_errands", "_jobs", "_name", "_own", "_scale", "_speed", "_tier", "_timeouts", "_times",
        "_waking", "_warmth",
    )  # fmt: skip

    def __init__(
        self,
        http: Transport,
        *,
        endpoint: Endpoint,
        tier: Tier,
        warmth: Warmth,
        times: RunpodTimes,
        clock: Clock,
        errands: Errands,
    ) -> None:
        """``http`` leads to the Runpod endpoint itself, ``https://api.runpod.ai/v2/<id>``; ``errands`` cancel jobs."""
        self._errands = errands
        self._jobs = Jobs(http, name=endpoint.name, times=times, clock=clock)
        self._name = endpoint.name
        self._timeouts = endpoint.timeouts
        self._tier = tier
        self._warmth = warmth
        self._times = times
        self._clock = clock
        self._scale = 1.0 / times.second  # how fast Runpod's clock goes
        self._speed = Speed(first=FIRST_SECONDS / self._scale, token=TOKEN_SECONDS / self._scale)
        self._own: tuple[HeaderLines | None, HeaderLines] = (None, HeaderLines([]))
        self._waking: asyncio.Task[None] | None = None

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        """Send a request; returns when its outcome is known, of a stream when its first piece is there.

        Raises:
            UpstreamTimeout: The edge cut it on the route; or the job had not ended, or gave nothing, in time.
            UpstreamAnswered: The job ended without an answer, or ``/run`` was not answered well.
            UpstreamRefused: The key was refused, or the endpoint does not exist.
            UpstreamFailed: Runpod lost the job, or its acceptance was lost on the way.
        """
        wants = asked(request.body)
        journey = request.journey
        if journey is not None:
            journey.cold = not self._warmth.ready
            journey.tries += 1
        large = len(request.body) > BODY_BYTES_MAX
        if _awake(self._warmth) and (large or self._goes_by_route(request, wants)):
            if journey is not None:
                journey.way = "route"
            return await self._by_route(request, wants)
        if large:
            return _too_large(len(request.body))
        if journey is not None:
            journey.way = "job"
        return await self._by_job(request, wants)

    async def wake(self, headers: Sequence[HeaderLines]) -> None:
        """See ``Waking``: a job that asks for the engine's models, which is watched until it ended."""
        if self._waking is not None and not self._waking.done():
            return
        ms = int(WAKE_SECONDS * 1000)
        body = job_body(WAKE, execution_ms=ms, ttl_ms=ms)
        request = UpstreamRequest(method=b"POST", path=b"/run", headers=headers, body=body)
        job = await self._run(request, body, self._clock.monotonic() + WAKE_SECONDS / self._scale)
        if not isinstance(job, RunpodJob):
            raise UpstreamAnswered(f"The endpoint {self._name} answered {job.status} to a wake.", status=job.status)
        self._waking = asyncio.get_running_loop().create_task(self._watch(job))

    async def aclose(self) -> None:
        """See ``Transport``. A job that only wakes is not watched any more; it ends by itself."""
        if self._waking is not None:
            self._waking.cancel()
            await asyncio.gather(self._waking, return_exceptions=True)
        await self._jobs.http.aclose()

    def _goes_by_route(self, request: UpstreamRequest, wants: Asked) -> bool:
        warmth = self._warmth
        room = _room(warmth)
        queued = warmth.sample.in_queue if warmth.sample is not None else 0
        limit = min(self._times.edge - self._times.edge_margin, request.due - self._clock.monotonic())
        chosen = way(
            self._speed,
            tokens=self._bound(request, wants),
            stream=bool(wants.stream),
            ahead=queued / room,
            room=warmth.under_way <= room,
            limit=limit,
        )
        return chosen == "route"

    def _bound(self, request: UpstreamRequest, wants: Asked) -> int:
        if wants.bound is not None:
            return wants.bound
        generates = request.path.endswith((b"/completions", b"/responses", b"/messages"))
        return (self._tier.output or self._tier.context) if generates else 0

    async def _by_route(self, request: UpstreamRequest, wants: Asked) -> UpstreamResponse:
        began = self._clock.monotonic()
        try:
            response = await self._jobs.http.send(
                UpstreamRequest(
                    method=request.method,
                    path=b"/openai" + request.path,
                    headers=request.headers,
                    body=request.body,
                    due=request.due,
                )
            )
        except UpstreamFailed:
            self._warmth.failed()
            raise
        if response.status == _CUT_BY_THE_EDGE:
            await response.aclose()
            self._warmth.failed()
            self._speed = misjudged(self._speed)
            raise UpstreamTimeout(
                f"Runpod's edge cut the request at {self._name} (524): its answer took longer than 100 s. The job goes"
                " on there, and cannot be cancelled since its id was not told."
            )
        if wants.stream and response.status == _OK and _is_event_stream(response.headers):
            self._warmth.answered()
            self._speed = streamed(self._speed, self._clock.monotonic() - began)
            return response
        try:
            body = await response.read(ANSWER_BYTES_MAX)
        finally:
            await response.aclose()
        return self._judged(response.status, response.headers, body, self._clock.monotonic() - began)

    def _judged(self, status: int, headers: Headers, body: bytes, seconds: float) -> WholeAnswer:
        """What the route answered, which may be a failed job in either of two disguises."""
        failed = status >= _SERVER_ERRORS or (status == _OK and _is_failed_job(body))
        if failed:
            error = job_error(body)
            if error.status:
                self._warmth.answered()
                return WholeAnswer(status=error.status, headers=_JSON, body=error.body)
            self._warmth.failed()
            status = status if status >= _SERVER_ERRORS else 502
            return WholeAnswer(status=status, headers=headers, body=_error(error.message or "The job failed."))
        if status == _OK:
            self._warmth.answered()
            self._speed = answered(self._speed, seconds, told_tokens(body))
        return WholeAnswer(status=status, headers=headers, body=body)

    async def _by_job(self, request: UpstreamRequest, wants: Asked) -> UpstreamResponse:
        now = self._clock.monotonic()
        left = DUE_SECONDS if request.due == math.inf else max(request.due - now, 0.0)
        ttl = max((left + self._times.ttl_margin) * self._scale, _TTL_SECONDS_MIN)
        execution = min(max(left * self._scale, _EXECUTION_SECONDS_MIN), ttl)
        body = run_body(request.path, request.body, execution_ms=int(execution * 1000), ttl_ms=int(ttl * 1000))
        job = await self._run(request, body, now + left)
        if not isinstance(job, RunpodJob):
            return job
        kept = False
        try:
            told = await self._begun(job, stream=bool(wants.stream))
            if not wants.stream or not (told.open or told.completed):
                return self._outcome(job, told)
            stream = JobStream(job, times=self._times, timeouts=self._timeouts, clock=self._clock, left=self._leave)
            if await stream.begin() or stream.failure is None:
                self._warmth.answered()
                kept = True
                return stream
            return self._outcome(job, stream.failure)
        finally:
            if not kept:
                self._leave(job)

    async def _run(self, request: UpstreamRequest, body: bytes, due: float) -> RunpodJob | WholeAnswer:
        """Have a job made of ``body``; in its place the answer, where none was made.

        Who is cancelled meanwhile need not wait for Runpod's word: the job is cancelled as soon as its id is known.
        """
        posting = asyncio.get_running_loop().create_task(self._posted(request, body, due))
        try:
            return await asyncio.shield(posting)
        except asyncio.CancelledError:
            self._errands.begin(self._orphaned(posting))
            raise

    async def _orphaned(self, posting: "asyncio.Task[RunpodJob | WholeAnswer]") -> None:
        await asyncio.wait([posting])
        if posting.exception() is None and isinstance(job := posting.result(), RunpodJob):
            job.leave()
            await job.cancel()

    async def _posted(self, request: UpstreamRequest, body: bytes, due: float) -> RunpodJob | WholeAnswer:
        headers = self._key(request.headers)
        run = UpstreamRequest(method=b"POST", path=b"/run", headers=(headers,), body=body)
        try:
            async with asyncio.timeout(min(RUN_SECONDS_MAX, max(due - self._clock.monotonic(), 0.0))):
                response = await self._jobs.http.send(run)
                try:
                    said = await response.read(ANSWER_BYTES_MAX)
                finally:
                    await response.aclose()
        except TimeoutError as error:
            self._warmth.failed()
            raise UpstreamTimeout(
                f"Runpod did not say in time whether it took a job for {self._name}. If it did, the job's own time"
                " limits end it."
            ) from error
        status = response.status
        if status in _UNFIT:
            if status == 404:  # noqa: PLR2004 - HTTP's own
                raise UpstreamRefused(
                    f"Runpod knows no endpoint for {self._name} (404). Check its url in the tier map."
                )
            raise UpstreamFailed(
                f"Runpod did not take a job for {self._name} ({status}): {job_error(said).message or 'no reason given'}"
            )
        if status >= _ERRORS:
            return WholeAnswer(status=status, headers=response.headers, body=said)
        job = accepted(said)
        if not job:
            raise UpstreamFailed(f"Runpod's answer to a job for {self._name} ({status}) has no id of one.")
        self._warmth.called()
        return RunpodJob(self._jobs, job=job, headers=headers, due=due, journey=request.journey)

    async def _begun(self, job: RunpodJob, *, stream: bool) -> Job:
        """Wait until the job has ended; for a ``stream``, until a worker has taken it."""
        times = self._times
        queued_wait = running_wait = times.job_poll
        started: float | None = None
        while True:
            told = await job.status()
            if not told.queued and (told.open or told.completed):
                self._warmth.answered()
            if not told.open or (stream and not told.queued):
                return told
            if told.queued:
                started = None
                await job.pause(queued_wait)
                queued_wait = min(queued_wait * 2, times.job_poll_max)
                continue
            now = self._clock.monotonic()
            started = now if started is None else started
            if now - started > self._timeouts.headers:
                raise UpstreamTimeout(
                    f"The job {job.id} of {self._name} did not end within {self._timeouts.headers:g} s of its"
                    " beginning (timeout headers), so it is cancelled."
                )
            await job.pause(running_wait)
            running_wait = min(running_wait * 1.25, times.job_poll_max / 2)

    def _outcome(self, job: RunpodJob, told: Job) -> WholeAnswer:
        """The answer of an ended job.

        Raises:
            UpstreamTimeout: It was ended because of its time.
            UpstreamAnswered: It failed, and not by vLLM's word.
        """
        output = whole(told.output)
        if told.completed and output and not _is_failed_job(output):
            seconds = (told.execution_time or 0.0) / 1000 / self._scale
            if seconds > 0:
                self._speed = answered(self._speed, seconds, told_tokens(output))
            return WholeAnswer(status=_OK, headers=_JSON, body=output)
        error = job_error(bytes(told.error) or output)
        if error.status:
            self._warmth.answered()
            return WholeAnswer(status=error.status, headers=_JSON, body=error.body)
        self._warmth.failed()
        if told.status == "TIMED_OUT":
            raise UpstreamTimeout(f"The job {job.id} of {self._name} ran longer than it had time, so Runpod ended it.")
        if told.completed:
            raise UpstreamFailed(f"The job {job.id} of {self._name} completed without an answer. {error.message}")
        raise UpstreamAnswered(
            f"The job {job.id} of {self._name} ended as {told.status}: {error.message or 'no reason given'}", status=502
        )

    def _leave(self, job: RunpodJob) -> None:
        """Nobody waits for the job any more: where it has not ended it is cancelled, in the background."""
        job.leave()
        if job.ended:
            return
        self._errands.begin(job.cancel())

    async def _watch(self, job: RunpodJob) -> None:
        try:
            await self._begun(job, stream=False)
        except UpstreamFailed:
            self._warmth.failed()
        finally:
            job.leave()

    def _key(self, headers: Sequence[HeaderLines]) -> HeaderLines:
        """The endpoint's own headers, which come last: of the caller's, none is Runpod's business."""
        last = headers[-1] if headers else None
        if self._own[0] is not last or last is None:
            fields = [field for field in last.fields if field[0] == b"authorization"] if last is not None else []
            self._own = (last, HeaderLines([*fields, *_JSON]))
        return self._own[1]


def _awake(warmth: Warmth) -> bool:
    """Whether a worker is known to be awake, and not only held to be so by what was heard before this process began."""
    return warmth.ready and warmth.proven and warmth.sample is not None


def _room(warmth: Warmth) -> int:
    """How many requests at once the workers can take that are seen to work. One more may have to wait for another."""
    sample, workers = warmth.sample, warmth.workers
    working = min(sample.running, sample.in_progress, workers.max) if sample is not None else 0
    return max(working, 1) * workers.slots


def _is_failed_job(body: bytes) -> bool:
    """Whether what should be an answer is a job that failed, or a worker's error.

    The beginning is looked at before anything is decoded: an answer is large, and begins with other words.
    """
    if body.find(_RUNPOD_SAID, 0, 4096) < 0 and body.find(_ENGINE_SAID, 0, 4096) < 0:
        return False
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(told, dict) and bool(told.get("error") or told.get("status") in {"FAILED", "TIMED_OUT"})


def _is_event_stream(headers: Headers) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers)


def _error(message: str) -> bytes:
    told = {"message": message, "type": "server_error", "param": None, "code": "upstream_error"}
    return msgspec.json.encode({"error": told})


def _too_large(size: int) -> WholeAnswer:
    told = {
        "message": f"The request has {size} bytes. Runpod takes {BODY_BYTES_MAX} at most for a job, and no worker is"
        " awake that could serve it over the OpenAI route, so it was not sent.",
        "type": "invalid_request_error",
        "param": None,
        "code": "body_too_large",
    }
    return WholeAnswer(status=413, headers=_JSON, body=msgspec.json.encode({"error": told}))
