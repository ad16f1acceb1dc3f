"""The near side of a call: the client's request body, its presence, and what is sent to it.

The client's leaving is watched from the moment its request is read: whatever the request is waiting for then ends with
``ClientDisconnected``, so that a slot in a queue or an answer on a GPU is not kept for nobody. A request's deadline
ends it in the same way.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from types import TracebackType
from typing import Any, Final, Protocol, Self

from gateway.errors import BodyTooLarge, ClientDisconnected, GatewayError, RequestTooSlow
from gateway.wire.envelope import error_body, error_event, error_headers
from gateway.wire.header_lines import NO_LINES, HeaderLines
from gateway.wire.headers import Header
from gateway.wire.pace import body_due

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
"""ASGI's ``receive``: the next message from the client."""
Send = Callable[[Message], Awaitable[None]]
"""ASGI's ``send``: a message to the client."""


TICK_SECONDS: Final = 0.1
"""How exact a request's deadline is."""


def body_too_large(limit: int) -> BodyTooLarge:
    """The error for a body of more than ``limit`` bytes."""
    return BodyTooLarge(f"The body has more than {limit} bytes, which is the most that is accepted.")


def body_too_slow() -> RequestTooSlow:
    """The error for a body that does not come fast enough."""
    return RequestTooSlow("The request's body did not come fast enough.")


def client_left() -> ClientDisconnected:
    """The error for a client that is gone before its answer was complete."""
    return ClientDisconnected("The client left before the answer was complete.")


class Presence:
    """A scope that ends when the client leaves or the request's time is over; built like ``asyncio.timeout``.

    ``loop`` and ``task`` are the running ones, for who knows them: Python 3.11 makes a system call of the question.
    """

    __slots__ = ("_cancelling", "_cause", "_loop", "_task", "_within", "about", "deadlines", "due", "late")

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None, task: asyncio.Task[None] | None = None) -> None:
        self._loop = loop
        self._within = task
        self._cause: GatewayError | None = None
        self._task: asyncio.Task[Any] | None = None
        self.deadlines: Deadlines | None = None
        """Who watches the time of this scope; ``due``, ``late`` and ``about`` are theirs, and set by them."""
        self.due = math.inf
        self.late: Callable[[Any], GatewayError]
        self.about: object

    def __enter__(self) -> Self:
        task = self._within if self._within is not None else asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("A client's presence can be watched inside a task only.")
        self._task = task
        self._cancelling = task.cancelling()
        return self

    def interrupt(self, cause: GatewayError) -> None:
        """End the scope with ``cause`` at what it waits for now. Only the first cause counts."""
        if self._task is not None and self._cause is None:
            self._cause = cause
            self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if self.deadlines is not None:
            self.deadlines.forget(self)
        # What is raised here holds, by its traceback, all that the request held: nothing may lead back to it, since
        # the cycle collector is spared.
        cause, self._cause = self._cause, None
        try:
            if cause is None or task is None:
                return
            if task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
                raise cause from error
        finally:
            del cause, error, traceback


class Deadlines:
    """Ends scopes whose time is over, at most ``TICK_SECONDS`` late, with one timer for all of them."""

    def __init__(self) -> None:
        self._watched: set[Presence] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ticking = False

    def set(self, presence: Presence, seconds: float, late: Callable[[Any], GatewayError], about: object) -> None:
        """End ``presence`` with what ``late`` makes of ``about`` after ``seconds`` from now.

        Replaces an earlier deadline. Two parameters, since a closure would be made for each request, for nothing.
        """
        loop = self._loop = self._loop or asyncio.get_running_loop()
        presence.due, presence.late, presence.about, presence.deadlines = loop.time() + seconds, late, about, self
        self._watched.add(presence)
        if not self._ticking:
            self._ticking = True
            loop.call_later(TICK_SECONDS, self._tick, loop)

    def forget(self, presence: Presence) -> None:
        """The scope has ended."""
        self._watched.discard(presence)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for presence in [one for one in self._watched if one.due <= now]:
            presence.interrupt(presence.late(presence.about))
        if self._watched:
            loop.call_later(TICK_SECONDS, self._tick, loop)
        else:
            self._ticking = False


class Client(Protocol):
    """One client's side of one request.

    Attributes:
        headers: Added to every answer.
        responded: Whether the head of an answer was sent; nothing can be taken back after that.
        streaming: Whether an answer has begun whose body is still to come piece by piece.
    """

    headers: list[Header]
    responded: bool
    streaming: bool

    async def body(self, limit: int) -> bytes:
        """The whole request body.

        Raises:
            BodyTooLarge: It has, or is declared to have, more than ``limit`` bytes.
            RequestTooSlow: It does not come as fast as ``gateway.wire.pace`` asks for.
            ClientDisconnected: The client left before it was complete.
        """

    def present(self) -> Presence:
        """A scope that ends with ``ClientDisconnected`` when the client leaves. The body must have been read."""

    async def send_whole(
        self, status: int, headers: Sequence[Header], body: bytes, served: HeaderLines = NO_LINES
    ) -> None:
        """Send a complete answer; ``served`` are further headers, which come again with other answers."""

    async def start_stream(self, status: int, headers: Sequence[Header], served: HeaderLines = NO_LINES) -> None:
        """Send the head of an answer whose body follows piece by piece; it may wait for the first piece."""

    async def send_piece(self, piece: bytes) -> None:
        """Send a piece of the body; waits while the client reads more slowly than it comes."""

    async def end_stream(self, piece: bytes = b"") -> None:
        """Send the last piece of the body."""

    @property
    def push(self) -> Callable[[bytes], bool] | None:
        """Sends a piece of a body that has begun at once, without waiting; says whether the client keeps up.

        ``None`` where sending always waits.
        """

    async def drain(self) -> None:
        """Wait until a client that did not keep up has read enough. Raises ``ClientDisconnected`` if it leaves."""


async def send_error(client: Client, error: GatewayError) -> None:
    """Tell the client of ``error``: as the answer, or inside the stream where that has begun."""
    if isinstance(error, ClientDisconnected):
        return
    if client.streaming:
        await client.end_stream(error_event(error))
    elif not client.responded:
        headers = error_headers(error)
        if isinstance(error, BodyTooLarge | RequestTooSlow):
            headers.append((b"connection", b"close"))  # the rest of the body is not read
        await client.send_whole(error.status, headers, error_body(error))


class AsgiClient:
    """Fulfils ``Client`` behind any ASGI server."""

    __slots__ = ("_declared", "_receive", "_send", "headers", "responded", "streaming")

    def __init__(self, receive: Receive, send: Send, *, declared: bytes | None = None) -> None:
        """``declared`` is the request's ``content-length``, where it has one."""
        self._receive = receive
        self._declared = declared
        self._send = send
        self.headers: list[Header] = []
        self.responded = self.streaming = False

    async def body(self, limit: int) -> bytes:
        """See ``Client.body``."""
        declared = self._declared
        if declared is not None and declared.isdigit() and int(declared) > limit:
            raise body_too_large(limit)
        pieces: list[bytes] = []
        size = 0
        loop = asyncio.get_running_loop()
        begun = loop.time()
        message: Message | None
        while True:
            message = None
            try:
                async with asyncio.timeout_at(body_due(begun, size, loop.time())):
                    message = await self._receive()
            except TimeoutError:
                pass
            if message is None:
                raise body_too_slow()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected("The client left before its request was complete.")
            piece: bytes = message.get("body", b"")
            size += len(piece)
            if size > limit:
                raise body_too_large(limit)
            pieces.append(piece)
            if not message.get("more_body", False):
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def present(self) -> Presence:
        """See ``Client.present``."""
        return _AsgiPresence(self._receive)

    async def send_whole(
        self, status: int, headers: Sequence[Header], body: bytes, served: HeaderLines = NO_LINES
    ) -> None:
        """See ``Client.send_whole``."""
        self.responded = True
        told = [*headers, *served.fields, (b"content-length", str(len(body)).encode()), *self.headers]
        await self._send({"type": "http.response.start", "status": status, "headers": told})
        await self._send({"type": "http.response.body", "body": body})

    async def start_stream(self, status: int, headers: Sequence[Header], served: HeaderLines = NO_LINES) -> None:
        """See ``Client.start_stream``."""
        self.responded = self.streaming = True
        told = [*headers, *served.fields, *self.headers]
        await self._send({"type": "http.response.start", "status": status, "headers": told})

    async def send_piece(self, piece: bytes) -> None:
        """See ``Client.send_piece``."""
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def end_stream(self, piece: bytes = b"") -> None:
        """See ``Client.end_stream``."""
        self.streaming = False
        await self._send({"type": "http.response.body", "body": piece, "more_body": False})

    @property
    def push(self) -> Callable[[bytes], bool] | None:
        """See ``Client.push``."""
        return None

    async def drain(self) -> None:
        """See ``Client.drain``. Sending has waited already."""


class _AsgiPresence(Presence):
    """Learns from ``receive`` that the client left, in a task of its own."""

    __slots__ = ("_receive", "_watcher")

    def __init__(self, receive: Receive) -> None:
        super().__init__()
        self._receive = receive

    def __enter__(self) -> Self:
        super().__enter__()
        self._watcher = asyncio.get_running_loop().create_task(self._watch())
        return self

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.interrupt(client_left())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._watcher.cancel()
        super().__exit__(kind, error, traceback)
