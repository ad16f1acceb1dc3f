"""A way to an endpoint without sockets: what it answers is a script, what it was sent is kept."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from gateway.errors import UpstreamFailed
from gateway.upstream.transport import Headers, UpstreamRequest
from gateway.wire.headers import Header


class Hang:
    """A step of a script that lasts until its reader is cancelled; ``reached`` says that somebody waits there."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()

    async def wait(self) -> None:
        """Never returns."""
        self.reached.set()
        await asyncio.get_running_loop().create_future()


class Gate(Hang):
    """A step of a script that lasts until the test opens it."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = asyncio.Event()

    async def wait(self) -> None:
        """Returns when the gate is open."""
        self.reached.set()
        await self.opened.wait()


Step = bytes | Exception | Hang
JSON: Final = ((b"content-type", b"application/json"),)
EVENTS: Final = ((b"content-type", b"text/event-stream; charset=utf-8"),)


class FakeResponse:
    """Fulfils ``UpstreamResponse`` from a script of pieces, errors and waits.

    ``closings`` counts ``aclose``; ``ended`` says whether the body was read to its end before that. ``closing`` makes
    ``aclose`` wait.
    """

    def __init__(
        self, *steps: Step, status: int = 200, headers: Sequence[Header] = JSON, closing: Hang | None = None
    ) -> None:
        self.status = status
        self.headers: Headers = headers
        self.closings = 0
        self.ended = False
        self.hurried: float | None = None
        self._steps = list(steps)
        self._closing = closing

    @property
    def complete(self) -> bool:
        """Whether its end was read."""
        return self.ended

    async def chunk(self) -> bytes:
        """The next piece of the script."""
        while self._steps:
            step = self._steps.pop(0)
            if isinstance(step, Hang):
                await step.wait()
            elif isinstance(step, Exception):
                raise step
            else:
                return step
        self.ended = True
        return b""

    async def pump(self, take: Callable[[bytes], bool]) -> None:
        """The pieces of the script, as far as ``take`` wants them."""
        while (piece := await self.chunk()) and take(piece):
            pass

    async def read(self, limit: int) -> bytes:
        """All pieces."""
        body = b""
        while piece := await self.chunk():
            body += piece
            if len(body) > limit:
                raise UpstreamFailed("too long")
        return body

    def hurry(self, seconds: float) -> None:
        """Remember it."""
        self.hurried = seconds

    async def aclose(self) -> None:
        """Count it."""
        self.closings += 1
        if self._closing is not None:
            await self._closing.wait()


class FakeTransport:
    """Fulfils ``Transport``: answers one request after the other as its script says.

    A ``Hang`` in the script is waited for before the next answer. ``requests`` is what was sent, ``answered`` the
    responses that were given out.
    """

    def __init__(self, *script: FakeResponse | Exception | Hang) -> None:
        self.requests: list[UpstreamRequest] = []
        self.answered: list[FakeResponse] = []
        self.closed = False
        self._script = list(script)

    def then(self, *script: FakeResponse | Exception | Hang) -> None:
        """More of the script."""
        self._script += script

    async def send(self, request: UpstreamRequest) -> FakeResponse:
        """Take the request and answer it by the script, which must have an answer left."""
        self.requests.append(request)
        while True:
            assert self._script, "a request that the script has no answer for"
            step = self._script.pop(0)
            if isinstance(step, Hang):
                await step.wait()
            elif isinstance(step, Exception):
                raise step
            else:
                self.answered.append(step)
                return step

    async def aclose(self) -> None:
        """Remember it."""
        self.closed = True
