"""Connections to Redis in which no cancellation is lost.

redis-py sends each command within ``asyncio.wait_for``. Before Python 3.12 that takes a cancellation for its own which
comes in the turn in which the command went out (python/cpython#86296): a task that is cancelled then goes on for good,
and whoever waits for its end waits for good.
"""

import asyncio
from collections.abc import Iterable

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection


class Cancellable(AbstractConnection):
    """Raises the cancellation that came while a command was sent."""

    async def send_packed_command(
        self,
        command: bytes | str | Iterable[bytes],
        check_health: bool = True,  # noqa: FBT001, FBT002 - redis-py's signature
    ) -> None:
        """As redis-py's."""
        task = asyncio.current_task()
        before = task.cancelling() if task is not None else 0
        await super().send_packed_command(command, check_health)
        if task is not None and task.cancelling() > before:
            # Nobody will read the answer: the next command must not get it.
            await self.disconnect(nowait=True)
            raise asyncio.CancelledError


def make_cancellable(pool: ConnectionPool) -> None:
    """Have the pool, which has made none yet, make such connections."""
    kind = pool.connection_class
    pool.connection_class = type(f"Cancellable{kind.__name__}", (Cancellable, kind), {})
