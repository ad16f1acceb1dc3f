"""One job at Runpod, from its acceptance to its end: asked after until its deadline, through whatever goes wrong there.

The deadline is the request's. A look that fails (the connection, a 5xx, a 429) is repeated; a refused key is taken for
meant after a few tries, and a job of which nothing was heard for a minute is given up. Looks become fewer the longer a
job is queued, and the more jobs this process has there, since Runpod takes 2,000 calls in 10 s for one endpoint.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Final

from gateway.errors import UpstreamFailed, UpstreamRefused, UpstreamTimeout, UpstreamUnreachable
from gateway.exchange import Clock
from gateway.journey import Journey
from gateway.upstream.runpod_times import RunpodTimes
from gateway.upstream.transport import Transport, UpstreamRequest
from gateway.wire.header_lines import HeaderLines
from gateway.wire.job import Drained, Job, drained
from gateway.wire.job import job as read_job
from gateway.wire.retry_after import retry_after

ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
LOOK_SECONDS_MAX: Final = 15.0
"""How long one look may take: Runpod answers these at once or not at all."""
REFUSALS_MAX: Final = 3
CANCEL_TRIES: Final = 4
_BUSY: Final = 0.1
"""How much longer each other job makes the wait between two looks, in waits of a stream."""
_UNAUTHORIZED: Final = frozenset({401, 403})
_PATIENCE: Final = 0.25
"""How long a wait that Runpod asks for is borne, of the time after which a silent job is given up."""
_NO_ANSWER: Final = 0
_OK: Final = 200
_NOT_FOUND: Final = 404
_LIMITED: Final = 429
_SERVER_ERRORS: Final = 500


class Jobs:
    """Those of one endpoint that are under way in this process.

    Attributes:
        name: The endpoint's, for messages.
        under_way: How many there are.
    """

    __slots__ = ("clock", "draw", "http", "name", "times", "under_way")

    def __init__(
        self,
        http: Transport,
        *,
        name: str,
        times: RunpodTimes,
        clock: Clock,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.http = http
        self.name = name
        self.times = times
        self.clock = clock
        self.draw = draw
        self.under_way = 0

    def pause(self, seconds: float) -> float:
        """The wait before a look that is due in so many seconds."""
        return max(seconds, self.under_way * self.times.stream_poll * _BUSY) * (0.9 + 0.2 * self.draw())


class RunpodJob:
    """See the module. Whoever made it calls ``leave`` at the end, once.

    Attributes:
        id: Runpod's id of it.
        due: Until when it is asked after, by the monotonic clock.
        ended: Whether it is known to have ended, or to be gone: there is nothing to cancel.
    """

    __slots__ = ("_headers", "_heard_at", "_jobs", "_journey", "due", "ended", "id")

    def __init__(self, jobs: Jobs, *, job: str, headers: HeaderLines, due: float, journey: Journey | None) -> None:
        """``headers`` hold the endpoint's key."""
        self.id = job
        self.due = due
        self.ended = False
        self._jobs = jobs
        self._headers = (headers,)
        self._heard_at = jobs.clock.monotonic()
        self._journey = journey
        jobs.under_way += 1
        if journey is not None:
            journey.job = job

    def leave(self) -> None:
        """It is not asked after any more."""
        self._jobs.under_way -= 1

    async def pause(self, seconds: float) -> None:
        """Wait before the next look, until the deadline at most.

        Raises:
            UpstreamTimeout: That has passed.
        """
        left = self._left()
        await asyncio.sleep(min(self._jobs.pause(seconds), max(left, 0.0)))

    async def status(self) -> Job:
        """What Runpod tells of it now.

        Raises:
            UpstreamFailed: Runpod does not know it any more, or says nothing of it.
            UpstreamRefused: The key was refused several times.
            UpstreamTimeout: The deadline passed.
        """
        wait, refusals = self._jobs.times.job_poll, 0
        self._heard_at = self._jobs.clock.monotonic()
        while True:
            status, body, pause = await self._look(b"/status/", LOOK_SECONDS_MAX)
            if status == _OK and (told := read_job(body)) is not None:
                self._note(told)
                return told
            refusals += status in _UNAUTHORIZED
            self._check(status, refusals)
            await self.pause(wait if pause is None else min(pause, self._jobs.times.job_lost * _PATIENCE))
            wait = min(wait * 2, self._jobs.times.job_poll_max)

    async def drain(self) -> Drained | None:
        """What came of its stream since the last call; ``None`` where that may be lost, since the answer was.

        Raises as ``status``.
        """
        wait, refusals = self._jobs.times.job_poll, 0
        self._heard_at = self._jobs.clock.monotonic()
        while True:
            status, body, pause = await self._look(b"/stream/", LOOK_SECONDS_MAX)
            if status in {_OK, _NO_ANSWER}:
                return drained(body)
            refusals += status in _UNAUTHORIZED
            self._check(status, refusals)
            await self.pause(wait if pause is None else min(pause, self._jobs.times.job_lost * _PATIENCE))
            wait = min(wait * 2, self._jobs.times.job_poll_max)

    async def cancel(self) -> None:
        """Have it cancelled. A few tries, since nobody else would; after that its time to live ends it."""
        for attempt in range(CANCEL_TRIES):
            if attempt:
                await asyncio.sleep(self._jobs.times.cancel)
            status, _, _ = await self._ask(b"POST", b"/cancel/", LOOK_SECONDS_MAX)
            if status in {_OK, _NOT_FOUND}:
                return

    async def _look(self, path: bytes, seconds: float) -> tuple[int, bytes, float | None]:
        """Ask; status 0 is no answer."""
        return await self._ask(b"GET", path, min(seconds, self._left()))

    async def _ask(self, method: bytes, path: bytes, seconds: float) -> tuple[int, bytes, float | None]:
        """Status, body and the wait that is asked for; status 0 is no answer."""
        jobs = self._jobs
        request = UpstreamRequest(method=method, path=path + self.id.encode(), headers=self._headers, body=b"")
        try:
            async with asyncio.timeout(seconds):
                response = await jobs.http.send(request)
                try:
                    body = await response.read(ANSWER_BYTES_MAX)
                finally:
                    await response.aclose()
        except UpstreamUnreachable:
            return _LIMITED, b"", None  # nothing was sent, so nothing is lost either
        except (UpstreamFailed, TimeoutError):
            return _NO_ANSWER, b"", None
        if response.status < _SERVER_ERRORS:
            self._heard_at = jobs.clock.monotonic()
        return response.status, body, retry_after(response.headers, jobs.clock.unix())

    def _check(self, status: int, refusals: int) -> None:
        """Raise where another look is in vain."""
        if status == _NOT_FOUND:
            self.ended = True
            raise UpstreamFailed(
                f"Runpod does not know the job {self.id} of {self._jobs.name} any more: its time to live is over, or"
                " somebody removed it."
            )
        if refusals >= REFUSALS_MAX:
            raise UpstreamRefused(
                f"The endpoint {self._jobs.name} refused the gateway's key ({status}) while a job was under way. Check"
                " its api_key in the tier map."
            )

        silent = self._jobs.clock.monotonic() - self._heard_at
        if silent > self._jobs.times.job_lost:
            raise UpstreamFailed(
                f"Nothing was heard of the job {self.id} of {self._jobs.name} for {silent:.0f} s, so it is given up."
            )

    def _left(self) -> float:
        left = self.due - self._jobs.clock.monotonic()
        if left <= 0:
            raise UpstreamTimeout(
                f"The job {self.id} of {self._jobs.name} had not ended at the request's deadline, so it is cancelled."
            )
        return left

    def _note(self, told: Job) -> None:
        self.ended = not told.open
        journey = self._journey
        if journey is None or told.queued:
            return
        if told.worker_id:
            journey.worker = told.worker_id
        if told.delay_time is not None:
            journey.delay_seconds = told.delay_time / 1000
        if told.execution_time is not None:
            journey.execution_seconds = told.execution_time / 1000
            if self.ended:
                journey.worked_seconds_max = journey.execution_seconds * self._jobs.times.second
