"""Signs of life to the clients of streams that wait for a worker: comments, which every reader of events passes over.

With the first one the answer has begun as far as HTTP is concerned, so it comes late enough for what fails soon to keep
its status. What fails after it is told inside the stream.
"""

import asyncio
from contextlib import suppress
from typing import Final

from gateway.downstream import Client
from gateway.errors import ClientDisconnected
from gateway.waited import LATER
from gateway.wire.headers import Header

_HEADERS: Final[list[Header]] = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
]
_TICKS: Final = 10
"""Looks in the time between two signs: none comes later than due by more than this share of it."""


class Heartbeats:
    """Gives signs of life to every client that it watches, with one timer for all of them."""

    def __init__(self, every_seconds: float) -> None:
        self.every_seconds = every_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watched: set[Heartbeat] = set()
        self._ticking = False

    def watch(self, client: Client, tier: str) -> "Heartbeat":
        """Give ``client`` signs of life until ``Heartbeat.stop``; ``tier`` is what it waits for."""
        loop = self._loop = self._loop or asyncio.get_running_loop()
        wait = 0.0 if client.streaming else self.every_seconds
        heartbeat = Heartbeat(self, client, tier, loop, loop.time() + wait)
        self._watched.add(heartbeat)
        if not self._ticking:
            self._ticking = True
            loop.call_later(self.every_seconds / _TICKS, self._tick, loop)
        return heartbeat

    def forget(self, heartbeat: "Heartbeat") -> None:
        """Its client waits no longer."""
        self._watched.discard(heartbeat)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for heartbeat in self._watched:
            if heartbeat.due <= now:
                heartbeat.due = now + self.every_seconds
                heartbeat.beat()
        if self._watched:
            loop.call_later(self.every_seconds / _TICKS, self._tick, loop)
        else:
            self._ticking = False


class Heartbeat:
    """One client's signs of life; ``due`` is when the next one is."""

    __slots__ = ("_beating", "_client", "_heartbeats", "_loop", "_tier", "due")

    def __init__(
        self, heartbeats: Heartbeats, client: Client, tier: str, loop: asyncio.AbstractEventLoop, due: float
    ) -> None:
        self._heartbeats = heartbeats
        self._client = client
        self._tier = tier
        self._loop = loop
        self._beating: asyncio.Task[None] | None = None
        self.due = due

    def beat(self) -> None:
        """Give one sign, unless the client has not taken the last one yet."""
        if self._beating is None or self._beating.done():
            self._beating = self._loop.create_task(self._send())

    async def stop(self) -> None:
        """Give no more; when this returns nothing of the last one is under way. Calling it twice is fine."""
        self._heartbeats.forget(self)
        if self._beating is not None:
            await asyncio.wait([self._beating])
            self._beating = None

    async def _send(self) -> None:
        client = self._client
        with suppress(ClientDisconnected):
            if not client.streaming:
                await client.start_stream(200, [*_HEADERS, (b"x-tiergate-tier", self._tier.encode()), LATER])
            await client.send_piece(f": waiting for a worker of the tier {self._tier}\n\n".encode())
