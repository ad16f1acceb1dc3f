"""What tests of the dispatch through a shared store need: streams of their own, on a server that they share."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from orchestrator.host.run_stream import IDLE_SECONDS, RunStream

BOUND_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """One stream, as each of several workers sees it."""

    url: str
    prefix: str

    def of(self, worker: str, *, flows: tuple[str, ...] = ("Mine",), idle_seconds: float = IDLE_SECONDS) -> RunStream:
        """As that worker does."""
        return RunStream(self.url, flows=flows, worker=worker, idle_seconds=idle_seconds, prefix=self.prefix)


def streams_at(url: str) -> Streams:
    """A stream that no other test sees."""
    return Streams(url=url, prefix=f"tiergate:{uuid4()}:")


async def until(condition: Callable[[], object]) -> None:
    """Wait until it holds; fail after a bound."""
    async with asyncio.timeout(BOUND_SECONDS):
        while not condition():  # noqa: ASYNC110 - other tasks' doing
            await asyncio.sleep(0.002)


async def be_idle(stream: RunStream, seconds: float) -> None:
    """As if this worker had not renewed what it holds for so long."""
    pending = await stream.client.xpending_range(stream.key, "workers", "-", "+", count=100, consumername=stream.worker)
    ids = [each["message_id"] for each in pending]
    idle = round(seconds * 1000) + 1
    await stream.client.xclaim(stream.key, "workers", stream.worker, 0, ids, idle=idle, justid=True)
