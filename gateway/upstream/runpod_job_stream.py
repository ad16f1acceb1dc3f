"""The stream of a job, as if it came over one connection: pieces are asked for until the job has ended.

Each look at ``/stream`` hands out what came since the last, and forgets it. So an answer that is lost on its way takes
pieces of the stream with it; and where a worker dies the platform begins the job again, from its first piece. The
completed job has the whole stream as its output, against which what was passed on is held: what is missing at the end
is added, anything else breaks the stream. It never looks complete when it is not.
"""

from collections.abc import Callable
from typing import Final

from gateway.errors import UpstreamFailed, UpstreamTimeout
from gateway.exchange import Clock
from gateway.upstream.runpod_job import RunpodJob
from gateway.upstream.runpod_times import RunpodTimes
from gateway.upstream.transport import Headers
from gateway.wire.job import Job, whole
from gateway.wire.job_error import job_error
from tiers.tiermap import Timeouts

EVENT_STREAM: Final = ((b"content-type", b"text/event-stream; charset=utf-8"),)
PAUSE_SECONDS_FACTOR: Final = 5.0
"""How far the wait between two looks grows while nothing comes, in waits of a stream."""


class JobStream:
    """Fulfils ``UpstreamResponse``.

    Attributes:
        failure: Why there is no stream at all, where the job ended badly before its first piece.
    """

    __slots__ = (
        "_buffer", "_clock", "_done", "_given", "_heard_at", "_idle", "_job", "_left", "_lost", "_timeouts",
        "_times", "failure", "headers", "status",
    )  # fmt: skip

    def __init__(
        self, job: RunpodJob, *, times: RunpodTimes, timeouts: Timeouts, clock: Clock, left: Callable[[RunpodJob], None]
    ) -> None:
        """``left`` is called once, when nobody reads on."""
        self.status = 200
        self.headers: Headers = EVENT_STREAM
        self.failure: Job | None = None
        self._job = job
        self._times = times
        self._timeouts = timeouts
        self._idle = timeouts.idle
        self._clock = clock
        self._left: Callable[[RunpodJob], None] | None = left
        self._given = bytearray()
        self._buffer = b""
        self._done = False
        self._lost = False
        self._heard_at = clock.monotonic()

    @property
    def complete(self) -> bool:
        """See ``UpstreamResponse``."""
        return self._done and not self._buffer

    async def begin(self) -> bool:
        """Wait for the first piece; whether one came. Where none did, the job has ended, or its stream is empty.

        Raises as ``chunk``.
        """
        self._heard_at = self._clock.monotonic()
        self._buffer = await self._next()
        self._heard_at = self._clock.monotonic()
        return bool(self._buffer)

    async def chunk(self) -> bytes:
        """See ``UpstreamResponse``."""
        buffered, self._buffer = self._buffer, b""
        if buffered:
            return buffered
        return b"" if self._done else await self._next()

    async def pump(self, take: Callable[[bytes], bool]) -> None:
        """See ``UpstreamResponse``."""
        while (piece := await self.chunk()) and take(piece):
            pass

    async def read(self, limit: int) -> bytes:
        """See ``UpstreamResponse``."""
        body = b""
        while piece := await self.chunk():
            body += piece
            if len(body) > limit:
                raise UpstreamFailed(f"A job sent a stream of more than {limit} bytes. Ask for less in one request.")
        return body

    def hurry(self, seconds: float) -> None:
        """See ``UpstreamResponse``."""
        self._idle = min(self._idle, seconds)

    async def aclose(self) -> None:
        """See ``UpstreamResponse``."""
        left, self._left = self._left, None
        if left is not None:
            left(self._job)

    async def _next(self) -> bytes:
        wait = self._times.stream_poll
        while True:
            self._done, piece = await self._looked()
            if piece:
                self._heard_at = self._clock.monotonic()
                self._given += piece
                return piece
            if self._done:
                return b""
            await self._job.pause(wait)
            wait = min(wait * 1.5, self._times.stream_poll * PAUSE_SECONDS_FACTOR)

    async def _looked(self) -> tuple[bool, bytes]:
        """Whether the job has ended, and what more there is of its stream.

        Raises:
            UpstreamFailed: The stream is broken.
            UpstreamTimeout: Nothing came for too long.
        """
        if self._lost:
            told = await self._job.status()
            if not told.open:
                return True, self._rest(told)
        else:
            drained = await self._job.drain()
            if drained is None:
                self._lost = True
                return False, b""
            piece = drained.text()
            if not drained.open:
                self._given += piece
                rest = self._rest(await self._job.status())
                del self._given[len(self._given) - len(piece) :]
                return True, piece + rest
            if piece:
                return False, piece
            if drained.queued and not self._given:
                self._heard_at = self._clock.monotonic()  # its worker died before a word; another one begins anew
            if drained.queued and self._given:
                raise UpstreamFailed(
                    f"The worker of the job {self._job.id} died within its answer, which Runpod begins anew."
                )
        self._patience()
        return False, b""

    def _patience(self) -> None:
        # Where a look was lost, the rest comes at the end and in one: the wait for it is one for an answer.
        idle = self._given and not self._lost
        limit, name = (self._idle, "idle") if idle else (self._timeouts.headers, "headers")
        if self._clock.monotonic() - self._heard_at > limit:
            raise UpstreamTimeout(
                f"The job {self._job.id} gave nothing for {limit:g} s (timeout {name}), so it is cancelled."
            )

    def _rest(self, told: Job) -> bytes:
        """What an ended job has of its stream beyond what came piece by piece."""
        if told.open:  # begun anew between two looks
            raise UpstreamFailed(f"The job {self._job.id} was begun anew within its answer.")
        if not told.completed:
            if not self._given:
                self.failure = told
                return b""
            why = job_error(bytes(told.error)).message
            raise UpstreamFailed(
                f"The job {self._job.id} broke off within its answer ({told.status})." + (f" {why}" if why else "")
            )
        everything = whole(told.output)
        if not everything and not self._lost:
            return b""  # its handler keeps no output, and no look was lost
        if not everything.startswith(bytes(self._given)) or (self._lost and not everything):
            raise UpstreamFailed(f"What came of the stream of the job {self._job.id} is not what it gave in all.")
        return everything[len(self._given) :]
