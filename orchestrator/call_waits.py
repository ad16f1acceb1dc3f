"""What the gateway says of each call: how long it waited for what before its answer began.

It says so in a header, or, of a stream that was given signs of life while it waited, in a comment before the first
event (docs/reference/headers.md). Both are read where the answer comes in, by the call that it belongs to.
"""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import Final, cast

import httpx

HEADER: Final = "x-tiergate-waited"
COMMENT_BYTES_MAX: Final = 65_536
"""How far a stream is searched for the comment: signs of life come before it, for as long as the wait is."""

_LATER: Final = "later"
_COMMENT: Final = re.compile(rb"(?m)^: waited ([^\r\n]*)[\r\n]")
_EVENT: Final = re.compile(rb"(?m)^(?:data|event):")
_PART: Final = re.compile(r"(queue|hold|worker|tries)=([0-9]{1,9}(?:\.[0-9]{1,6})?)")


@dataclass(slots=True, kw_only=True)
class CallWaits:
    """Seconds of one call, in parts that do not overlap; docs/reference/headers.md says what each is."""

    queue_seconds: float = 0.0
    hold_seconds: float = 0.0
    worker_seconds: float = 0.0
    tries_seconds: float = 0.0

    @property
    def whole(self) -> float:
        """All of it."""
        return self.queue_seconds + self.hold_seconds + self.worker_seconds + self.tries_seconds

    def parts(self) -> dict[str, float]:
        """Each by its name."""
        return asdict(self)

    def hear(self, told: str) -> None:
        """Add what an answer says. What is not known is passed over."""
        for part in map(_PART.fullmatch, told.split(", ")):
            if part is not None:
                name = f"{part[1]}_seconds"
                setattr(self, name, getattr(self, name) + float(part[2]))


_call: ContextVar[CallWaits | None] = ContextVar("tiergate_call_waits", default=None)


@contextmanager
def listening() -> Iterator[None]:
    """Inside is one call, and all that answers say in this context is of it."""
    token = _call.set(CallWaits())
    try:
        yield
    finally:
        _call.reset(token)


def current_waits() -> CallWaits:
    """What was said of the call that this context is in; nothing outside of one."""
    return _call.get() or CallWaits()


def hear(response: httpx.Response) -> None:
    """Note what an answer says, or will say. For httpx' hook: its head is there, its body is not."""
    call, told = _call.get(), response.headers.get(HEADER)
    if call is None or told is None:
        return
    if told == _LATER:
        response.stream = _Overheard(cast("httpx.SyncByteStream", response.stream), call)
    else:
        call.hear(told)


async def hear_async(response: httpx.Response) -> None:
    """As ``hear``, of an asynchronous client's answer."""
    call, told = _call.get(), response.headers.get(HEADER)
    if call is None or told is None:
        return
    if told == _LATER:
        response.stream = _OverheardAsync(cast("httpx.AsyncByteStream", response.stream), call)
    else:
        call.hear(told)


class _Search:
    """Looks for the comment in a stream's beginning, up to its first event."""

    def __init__(self, call: CallWaits) -> None:
        self._call = call
        self._seen = b""
        self.over = False

    def look(self, piece: bytes) -> None:
        self._seen += piece
        found = _COMMENT.search(self._seen)
        if found is not None:
            self._call.hear(found[1].decode("latin-1"))
        self.over = found is not None or len(self._seen) > COMMENT_BYTES_MAX or bool(_EVENT.search(self._seen))


class _Overheard(httpx.SyncByteStream):
    """A stream that is listened to; what passes is what came."""

    def __init__(self, stream: httpx.SyncByteStream, call: CallWaits) -> None:
        self._stream = stream
        self._search = _Search(call)

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            if not self._search.over:
                self._search.look(piece)
            yield piece

    def close(self) -> None:
        self._stream.close()


class _OverheardAsync(httpx.AsyncByteStream):
    """As ``_Overheard``."""

    def __init__(self, stream: httpx.AsyncByteStream, call: CallWaits) -> None:
        self._stream = stream
        self._search = _Search(call)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            if not self._search.over:
                self._search.look(piece)
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
