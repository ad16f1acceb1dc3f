"""The stream through which workers that share a Redis get the names of runs: taskiq-redis's, and what it leaves to us.

The engine adds names, gives each to one worker, and gives those of dead workers to others (``docs/decisions/0041``).
Left to us are: to delete what was acknowledged, to renew what is under way, and to have the engine look for names of
dead workers where no new name comes by, since it looks after each new one only.

Importing this imports the engine: only workers with a shared store do.
"""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from traceback import walk_tb
from typing import Any, Final, cast
from uuid import uuid4

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import RedisError
from taskiq import BrokerMessage
from taskiq_redis import RedisStreamBroker

from orchestrator.errors import StoreUnavailable
from orchestrator.runs.cancellable import make_cancellable
from orchestrator.runs.redis_store import CONNECTION_OPTIONS, CONNECTIONS_MAX, address_of

IDLE_SECONDS: Final = 33.0
"""A name whose worker has not renewed it for so long is given to another: a little longer than a run's lease (30 s), so
that whoever gets it finds the run free."""
LISTEN_SECONDS: Final = 2.0
"""How long one question for a name waits for it."""
LISTENING_CONNECTIONS: Final = 4
"""Of one worker; it uses one at a time."""
CONSUMER_SECONDS: Final = 600.0
"""A worker that holds nothing and has asked for nothing for so long is forgotten."""
STREAM_DAYS: Final = 30
"""A stream to which no worker has come for so long is forgotten; its runs are found by the sweep."""

_GROUP = "workers"
_PREFIX = "tiergate:runs:dispatch:"
_PAGE = 1_000
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A message that this worker was given; calling it acknowledges and deletes it, both or neither."""

    id: bytes
    stream: str
    client: Any  # redis-py's types of answers differ from version to version

    async def __call__(self) -> None:
        """Acknowledge. Raises the client's errors."""
        async with self.client.pipeline(transaction=True) as both:
            both.xack(self.stream, _GROUP, self.id)
            both.xdel(self.stream, self.id)
            await both.execute()


class _Broker(RedisStreamBroker):
    """The engine. Its own acknowledgement leaves each message in the stream for good, so it has another."""

    def __init__(self, url: str, *, client: Redis | None = None, **options: Any) -> None:  # noqa: ANN401 - the engine's
        super().__init__(url, consumer_group_name=_GROUP, **options, **CONNECTION_OPTIONS)
        make_cancellable(self.connection_pool)
        self.client = client or Redis(connection_pool=self.connection_pool)

    def _ack_generator(self, id: bytes, queue_name: str) -> Receipt:  # type: ignore[override] # noqa: A002 - its name
        return Receipt(id=id, stream=queue_name, client=self.client)


class RunStream:
    """Names of runs, for all workers that host the same Flows.

    Attributes:
        key: The stream's key in the store.
        worker: This worker's name.
        client: Commands to the store.
    """

    def __init__(
        self, url: str, *, flows: Iterable[str], worker: str, idle_seconds: float = IDLE_SECONDS, prefix: str = _PREFIX
    ) -> None:
        """The stream at ``redis://``, ``rediss://`` or ``unix://``; connects when it is first used.

        Workers with other Flows have another stream, since a name goes to whichever worker has room.
        """
        self.key = prefix + hashlib.sha256("\n".join(sorted(flows)).encode()).hexdigest()[:16]
        self.worker = worker
        self._url = url
        self._idle_milliseconds = round(idle_seconds * 1000)
        self._broker = self._made(max_connection_pool_size=CONNECTIONS_MAX)
        self.client: Any = self._broker.client  # redis-py's types of answers differ from version to version
        script = resources.files("orchestrator.host").joinpath("scripts/forget_consumers.lua")
        self._forget = self.client.register_script(script.read_text(encoding="utf-8"))
        self._where = f"the store of runs at {address_of(self._broker.connection_pool)}"

    def _made(self, *, max_connection_pool_size: int, client: Redis | None = None) -> _Broker:
        """The engine. It asks for one message at a time, and one of a dead worker's: for no more than there is room."""
        return _Broker(
            self._url,
            client=client,
            queue_name=self.key,
            consumer_name=self.worker,
            consumer_id="0",
            max_connection_pool_size=max_connection_pool_size,
            xread_block=round(LISTEN_SECONDS * 1000),
            xread_count=1,
            idle_timeout=self._idle_milliseconds,
            unacknowledged_batch_size=1,
        )

    async def open(self) -> None:
        """Make the stream where it is not there yet. Raises ``StoreUnavailable``."""
        async with self.answering():
            await self._broker.startup()

    async def close(self) -> None:
        """Close its connections."""
        await self._broker.shutdown()

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """What the store's failures become: raises ``StoreUnavailable`` for each."""
        try:
            yield
        except (RedisError, OSError) as error:
            # The error's own text is left out: it may quote what was sent, a password among it.
            raise StoreUnavailable(f"{self._where} does not answer as it should: {type(error).__name__}.") from error

    async def names(self) -> AsyncGenerator[tuple[str, Receipt], None]:
        """Names as this worker is given them, empty ones too, from an open stream. Raises the client's errors."""
        listening = self._made(max_connection_pool_size=LISTENING_CONNECTIONS, client=self.client)
        try:
            async with aclosing(listening.listen()) as messages:
                async for message in messages:
                    yield message.data.decode(), cast("Receipt", message.ack)
        except BaseException as error:
            await _release(error)
            raise
        finally:
            await listening.shutdown()

    async def add(self, name: str) -> None:
        """Have some worker get the name; the empty one only makes it look for those of dead workers."""
        message = BrokerMessage(task_id=uuid4().hex, task_name="run", message=name.encode(), labels={})
        async with self.answering():
            await self._broker.kick(message)

    async def renew(self, receipts: Collection[Receipt]) -> None:
        """Keep these from being given to others for another ``idle_seconds``."""
        if receipts:
            ids = [receipt.id for receipt in receipts]
            async with self.answering():
                await self.client.xclaim(self.key, _GROUP, self.worker, 0, ids, justid=True)

    async def abandoned(self, most: int) -> int:
        """How many messages, at most ``most``, nobody has renewed for ``idle_seconds``."""
        async with self.answering():
            found = await self.client.xpending_range(
                self.key, _GROUP, "-", "+", count=most, idle=self._idle_milliseconds
            )
        return len(found)

    async def waiting(self) -> set[str]:
        """The names that no worker was given yet."""
        names: set[str] = set()
        async with self.answering():
            groups = await self.client.xinfo_groups(self.key)
            last: bytes = next(group["last-delivered-id"] for group in groups if group["name"] == _GROUP.encode())
            while entries := await self.client.xrange(self.key, b"(" + last, "+", count=_PAGE):
                names.update(fields[b"data"].decode() for _, fields in entries)
                last = entries[-1][0]
        return names

    async def hand_back(self, most: int) -> None:
        """Have other workers get what this one was given and did not acknowledge, at most so many, without delay."""
        async with self.answering():
            held = await self.client.xpending_range(self.key, _GROUP, "-", "+", count=most, consumername=self.worker)
            for each in held:
                id_: bytes = each["message_id"]
                for _, fields in await self.client.xrange(self.key, id_, id_):
                    await self.add(fields[b"data"].decode())
                await Receipt(id=id_, stream=self.key, client=self.client)()

    async def forget_workers(self, *, idle_seconds: float = CONSUMER_SECONDS) -> None:
        """Forget workers that are gone and hold nothing, and the stream itself when nobody does this for long."""
        async with self.answering():
            await self._forget(keys=[self.key], args=[_GROUP, round(idle_seconds * 1000)])
            await self.client.expire(self.key, STREAM_DAYS * _DAY_SECONDS)


async def _release(error: BaseException) -> None:
    """Give back connections of pipelines in which the error was raised.

    The engine looks for names of dead workers by a pipeline that it does not close, and redis-py closes it for failures
    of its commands only, not of what comes before them: a look that the store's absence or a cancellation ends there
    keeps its connection.
    """
    for frame, _ in walk_tb(error.__traceback__):
        for value in tuple(frame.f_locals.values()):
            if isinstance(value, Pipeline):
                await value.reset()  # type: ignore[no-untyped-call]
