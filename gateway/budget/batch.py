"""One round trip for all commands of one turn of the event loop."""

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

PIPELINES_MAX = 8
"""How many pipelines one batch keeps on the wire; commands that come meanwhile go out with the next one."""

Command = tuple[bytes | str | int, ...]


class Batch:
    """Gathers commands and sends them together, each caller getting its own command's reply or error.

    Concurrent callers thus share one write, one read and one pooled connection. A caller that is cancelled
    before its command was sent takes the command back; later it only stops waiting.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._waiting: list[tuple[Command, asyncio.Future[Any]]] = []
        self._sending: set[asyncio.Task[None]] = set()
        self._scheduled = False

    async def execute(self, *command: bytes | str | int) -> Any:  # noqa: ANN401 - a reply is what the command makes it
        """The reply to ``command``. Raises what the client raises for it, or for the whole pipeline."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting.append((command, future))
        self._schedule(loop)
        return await future

    async def aclose(self) -> None:
        """Wait until every command that was accepted has its reply or error."""
        while self._scheduled or self._sending:
            if self._sending:
                await asyncio.wait(self._sending)
            await asyncio.sleep(0)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._waiting and not self._scheduled and len(self._sending) < PIPELINES_MAX:
            self._scheduled = True
            loop.call_soon(self._flush, loop)

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        self._scheduled = False
        wanted = [(command, future) for command, future in self._waiting if not future.done()]
        self._waiting = []
        if wanted:
            task = loop.create_task(self._send(wanted))
            self._sending.add(task)
            task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._schedule(task.get_loop())

    async def _send(self, wanted: Sequence[tuple[Command, asyncio.Future[Any]]]) -> None:
        replies: list[Any]
        try:
            pipeline = self._client.pipeline(transaction=False)
            for command, _ in wanted:
                pipeline.execute_command(*command)
            replies = await pipeline.execute(raise_on_error=False)
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to those who wait
            replies = [error] * len(wanted)
        except asyncio.CancelledError:
            # The loop is being torn down: nobody may be left waiting.
            for _, future in wanted:
                if not future.done():
                    future.set_exception(RedisConnectionError("the gateway is stopping"))
            raise
        for (_, future), reply in zip(wanted, replies, strict=True):
            if future.done():
                continue
            if isinstance(reply, Exception):
                future.set_exception(reply)
            else:
                future.set_result(reply)
