"""The near side of a call: the client's request body, its presence, and what is sent to it.

The client's leaving is watched from the moment its request is read: whatever the request is waiting for then ends with
``ClientDisconnected``, so that a slot in a queue or an answer on a GPU is not kept for nobody.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from types import TracebackType
from typing import Any, Self

from gateway.errors import BodyTooLarge, ClientDisconnected, GatewayError
from gateway.wire.envelope import error_body, error_event, error_headers
from gateway.wire.headers import Header

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
"""ASGI's ``receive``: the next message from the client."""
Send = Callable[[Message], Awaitable[None]]
"""ASGI's ``send``: a message to the client."""


class Client:
    """One client's side of one request.

    Attributes:
        responded: Whether the head of an answer was sent; nothing can be taken back after that.
    """

    __slots__ = ("_headers", "_receive", "_send", "_streaming", "responded")

    def __init__(self, receive: Receive, send: Send, headers: Sequence[Header]) -> None:
        """``headers`` are added to every answer."""
        self._receive = receive
        self._send = send
        self._headers = list(headers)
        self._streaming = False
        self.responded = False

    def add_headers(self, headers: Sequence[Header]) -> None:
        """Add to the headers of the answer that is still to come."""
        self._headers += headers

    async def body(self, limit: int, *, declared: bytes | None = None) -> bytes:
        """The whole request body; ``declared`` is the request's ``content-length``, where it has one.

        Raises:
            BodyTooLarge: It has, or is declared to have, more than ``limit`` bytes.
            ClientDisconnected: The client left before it was complete.
        """
        if declared is not None and declared.isdigit() and int(declared) > limit:
            raise _too_large(limit)
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected("The client left before its request was complete.")
            piece: bytes = message.get("body", b"")
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
            pieces.append(piece)
            if not message.get("more_body", False):
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def present(self) -> "Presence":
        """A scope that ends with ``ClientDisconnected`` when the client leaves. The body must have been read."""
        return Presence(self._receive)

    async def send_whole(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        """Send a complete answer."""
        self.responded = True
        length = (b"content-length", str(len(body)).encode())
        await self._send(
            {"type": "http.response.start", "status": status, "headers": [*headers, length, *self._headers]}
        )
        await self._send({"type": "http.response.body", "body": body})

    async def start_stream(self, status: int, headers: Sequence[Header]) -> None:
        """Send the head of an answer whose body follows piece by piece."""
        self.responded = self._streaming = True
        await self._send({"type": "http.response.start", "status": status, "headers": [*headers, *self._headers]})

    async def send_piece(self, piece: bytes) -> None:
        """Send a piece of the body; waits while the client reads more slowly than it comes."""
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def end_stream(self, piece: bytes = b"") -> None:
        """Send the last piece of the body."""
        self._streaming = False
        await self._send({"type": "http.response.body", "body": piece, "more_body": False})

    async def send_error(self, error: GatewayError) -> None:
        """Tell the client of ``error``: as the answer, or inside the stream where that has begun."""
        if isinstance(error, ClientDisconnected):
            return
        if self._streaming:
            await self.end_stream(error_event(error))
        elif not self.responded:
            headers = error_headers(error)
            if isinstance(error, BodyTooLarge):
                headers.append((b"connection", b"close"))  # the rest of the body is not read
            await self.send_whole(error.status, headers, error_body(error))


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body has more than {limit} bytes, which is the most that is accepted.")


class Presence:
    """An asynchronous context that is cancelled when the client leaves; built like ``asyncio.timeout``."""

    __slots__ = ("_cancelling", "_left", "_receive", "_task", "_watcher")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._left = False

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A client's presence can be watched inside a task only.")
        self._task = task
        self._cancelling = task.cancelling()
        self._watcher = asyncio.get_running_loop().create_task(self._watch())
        return self

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._left = True
        self._task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._watcher.cancel()
        if self._left and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise ClientDisconnected("The client left before the answer was complete.") from error
