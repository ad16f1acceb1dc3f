"""A client without sockets: the two sides of ASGI, with a client that can leave or stop reading."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from gateway.downstream import Message


class FakeClient:
    """What a server gives an ASGI application for one request; pass ``receive`` and ``send``.

    ``leave`` closes the connection. ``stall`` makes every ``send`` after the first ``after`` messages wait, as for a
    client that does not read.
    """

    def __init__(self, *pieces: bytes, complete: bool = True) -> None:
        """``pieces`` make up the request's body; the last is still to come unless it is ``complete``."""
        last = len(pieces) - 1
        self._coming: list[Message] = [
            {"type": "http.request", "body": piece, "more_body": not complete or index < last}
            for index, piece in enumerate(pieces)
        ]
        self._left = asyncio.Event()
        self._changed = asyncio.Event()
        self._stalls_after: int | None = None
        self._reads = asyncio.Event()
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        """The next piece of the body, then nothing until the client leaves."""
        if self._coming:
            return self._coming.pop(0)
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a message."""
        self.sent.append(message)
        self._changed.set()
        if self._stalls_after is not None and len(self.sent) > self._stalls_after:
            await self._reads.wait()

    def interrupt(self) -> None:
        """Let ``receive`` give a message that says nothing, as some servers do after a body."""
        self._coming.append({"type": "http.request", "body": b"", "more_body": False})

    def leave(self) -> None:
        """Close the connection."""
        self._left.set()

    def stall(self, *, after: int) -> None:
        """Stop reading after so many messages."""
        self._stalls_after = after

    def read_on(self) -> None:
        """Read all that is waiting, and what comes."""
        self._reads.set()

    async def got(self, messages: int) -> None:
        """Wait until so many messages were sent to the client."""
        async with asyncio.timeout(5):
            while len(self.sent) < messages:
                self._changed.clear()
                await self._changed.wait()

    @property
    def status(self) -> int:
        """The answer's status; 0 while none came."""
        return int(self.sent[0]["status"]) if self.sent else 0

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The answer's headers; each must have come once."""
        pairs: Sequence[tuple[bytes, bytes]] = self.sent[0]["headers"]
        assert len(dict(pairs)) == len(pairs), "a header was sent twice"
        return dict(pairs)

    @property
    def body(self) -> bytes:
        """The body as far as it came."""
        return b"".join(message["body"] for message in self.sent[1:])

    def is_complete(self) -> bool:
        """Whether the answer has ended."""
        return len(self.sent) > 1 and not self.sent[-1].get("more_body", False)

    @property
    def error(self) -> dict[str, Any]:
        """The error that the body is, or that the stream ended with."""
        text = self.body.rstrip().rpartition(b"\ndata: ")[2].removeprefix(b"data: ")
        found: dict[str, Any] = json.loads(text)["error"]
        return found
