"""An answer as its reader sees it: waits, time limits and errors around ``Reception``."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from gateway.errors import UpstreamFailed, UpstreamTimeout
from gateway.upstream.familiar import FamiliarHead
from gateway.upstream.reception import Reception
from gateway.upstream.transport import Headers
from tiers.tiermap import Timeouts


class Line(Protocol):
    """What a response asks of the connection that it arrives on.

    Attributes:
        familiar: The head of its answers.
    """

    familiar: FamiliarHead

    def expect_by(self, when: float) -> None:
        """Call ``expire`` of the response if it still waits at ``when`` by the loop's clock."""

    def resume(self) -> None:
        """Read from the endpoint again if that was paused because the reader was slow."""

    def release(self, *, reusable: bool) -> None:
        """The response is done with the connection, which is ready for another request or not."""


class Response:
    """One answer and the one who waits for it; fulfils ``UpstreamResponse``.

    All that is received lives here and nothing of it on the connection, so a reader that comes late can never
    see what belongs to another request. It ends with the reception complete, or with an error.

    Attributes:
        status: 200 to 599; 0 until ``head`` returned.
        headers: As received, with those that are for this connection alone; names in lower case.
        unanswered: The connection ended before a byte of the answer came, and not because of a time limit.
        error: Why the answer will not be complete.
    """

    __slots__ = (
        "_idle",
        "_line",
        "_loop",
        "_peer",
        "_refusal",
        "_released",
        "_stopped",
        "_take",
        "_timeouts",
        "_waiter",
        "error",
        "headers",
        "received",
        "status",
        "unanswered",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, line: Line, peer: str, timeouts: Timeouts, *, bodyless: bool
    ) -> None:
        self._loop = loop
        self._line = line
        self._released = False
        self._peer = peer
        self._timeouts = timeouts
        self._idle = timeouts.idle
        self._waiter: asyncio.Future[None] | None = None
        self.received = Reception(bodyless=bodyless, familiar=line.familiar)
        self.status = 0
        self.headers: Headers = ()
        self.error: UpstreamFailed | None = None
        self.unanswered = False
        self._take: Callable[[bytes], bool] | None = None
        self._stopped = False
        self._refusal: Exception | None = None

    @property
    def complete(self) -> bool:
        """See ``UpstreamResponse.complete``."""
        return self.received.complete and not self.received.buffered

    async def head(self) -> None:
        """Wait for the head of the answer. Raises as ``Transport.send``."""
        received = self.received
        if not received.head_done and self.error is None:
            await self._wait(self._timeouts.headers)
        if not received.head_done and self.error is not None:
            raise self.error
        self.status = received.status
        self.headers = received.headers

    async def chunk(self) -> bytes:
        """The next piece of the body; all that came since the last call. See ``UpstreamResponse``."""
        received = self.received
        while True:
            if received.buffered:
                body = received.take()
                if not self._released:
                    self._line.resume()
                return body
            if received.complete:
                return b""
            if self.error is not None:
                raise self.error
            await self._wait(self._idle)

    async def pump(self, take: Callable[[bytes], bool]) -> None:
        """See ``UpstreamResponse.pump``. A piece costs no turn of the event loop and no wake-up of the reader."""
        while (piece := await self.chunk()) and take(piece):
            if self.received.complete or self.error is not None:
                continue  # the end came with that piece: nothing will wake a wait for it
            self._take = take
            try:
                await self._wait(self._idle)
            finally:
                self._take = None
            if self._refusal is not None:
                refusal, self._refusal = self._refusal, None
                raise refusal
            if self._stopped:
                self._stopped = False
                return

    async def read(self, limit: int) -> bytes:
        """The rest of the body, of at most ``limit`` bytes. See ``UpstreamResponse``."""
        body = await self.chunk()
        if not self.received.complete or self.received.buffered:
            pieces = [body]
            size = len(body)
            while size <= limit and (piece := await self.chunk()):
                pieces.append(piece)
                size += len(piece)
            body = b"".join(pieces)
        if len(body) > limit:
            raise UpstreamFailed(
                f"{self._peer} sent an answer of more than {limit} bytes. Ask for less in one request."
            )
        return body

    def hurry(self, seconds: float) -> None:
        """See ``UpstreamResponse``."""
        self._idle = min(self._idle, seconds)

    async def aclose(self) -> None:
        """See ``leave``, and ``UpstreamResponse``."""
        self.leave()

    def leave(self) -> None:
        """Give the connection back if the answer is complete, else close it."""
        if self._released:
            return
        self._released = True
        received = self.received
        if not received.complete:
            self.fail(UpstreamFailed(f"The answer of {self._peer} was closed before it was complete."))
        self._line.release(reusable=received.complete and received.reusable and not received.surplus)

    def receive(self, data: bytes) -> None:
        """Connection: bytes came. Sets ``error`` if they make no sense."""
        received = self.received
        received.feed(data)
        if received.problem:
            self.fail(self._failure(received.problem))
        elif received.head_done and (self._take is None or not self._passed_on(self._take)):
            self._wake()

    def end(self) -> None:
        """Connection: the endpoint closed it in good order."""
        received = self.received
        self.unanswered = not received.touched
        received.end()
        if received.complete:
            self._wake()
        else:
            self.fail(self._failure(received.problem))

    def lose(self, cause: Exception | None) -> None:
        """Connection: it broke, for a ``cause`` that the loop knows or not."""
        if not self.received.complete and self.error is None:
            self.unanswered = not self.received.touched
            why = f" ({cause.strerror})" if isinstance(cause, OSError) and cause.strerror else ""
            self.fail(self._failure(f"broke the connection before the answer was complete{why}"))

    def expire(self) -> bool:
        """Connection: the time given to ``expect_by`` has come. Whether somebody waited for it in vain."""
        if self._waiter is None or self._waiter.done():
            return False
        if self.received.head_done:
            silence = f"sent nothing for {self._idle:g} s in the middle of its answer (timeout idle)"
        else:
            silence = f"did not begin its answer within {self._timeouts.headers:g} s (timeout headers)"
        self.fail(UpstreamTimeout(f"{self._peer} {silence}. Try again, or give the tier a longer timeout."))
        return True

    def fail(self, error: UpstreamFailed) -> None:
        """End with an error, unless there is one already; whoever waits, or reads to the end, gets it."""
        if self.error is None:
            self.error = error
            self.received.close()
            self._wake()

    def _passed_on(self, take: Callable[[bytes], bool]) -> bool:
        """Give what came to the one who pumps; whether it waits for more."""
        received = self.received
        if not received.buffered:
            return not received.complete
        try:
            more = take(received.take())
        except Exception as error:  # noqa: BLE001 - it belongs to who pumps, not to the event loop
            self._refusal = error
            more = False
        self._stopped = not more
        self._line.expect_by(self._loop.time() + self._idle)
        if not more:
            self._take = None
        return more and not received.complete

    def _failure(self, problem: str) -> UpstreamFailed:
        return UpstreamFailed(f"{self._peer} {problem}. Try again; if it stays, look at the endpoint's own log.")

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _wait(self, seconds: float) -> asyncio.Future[None]:
        """To be awaited: done when something changed that the one reader wants to know."""
        self._line.expect_by(self._loop.time() + seconds)
        waiter = self._waiter = self._loop.create_future()
        return waiter
