import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from gateway.budget.batch import PIPELINES_MAX, Batch, Command


class EchoingClient:
    """Answers each command with its last word, an error where that word is ``bad``; records every pipeline.

    ``sent`` gets an item per pipeline. Pipelines wait for ``gate``; ``broken`` is what the connection fails with.
    """

    def __init__(self) -> None:
        self.pipelines: list[list[Command]] = []
        self.sent: asyncio.Queue[None] = asyncio.Queue()
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken: Exception | None = None

    def pipeline(self, *, transaction: bool) -> "EchoingPipeline":
        """As the client's."""
        assert not transaction
        return EchoingPipeline(self)


class EchoingPipeline:
    """One pipeline of an ``EchoingClient``."""

    def __init__(self, client: EchoingClient) -> None:
        self.client = client
        self.commands: list[Command] = []

    def execute_command(self, *command: bytes | str | int) -> None:
        """As the client's."""
        self.commands.append(command)

    async def execute(self, *, raise_on_error: bool) -> Sequence[Any]:
        """As the client's."""
        assert not raise_on_error
        self.client.pipelines.append(self.commands)
        self.client.sent.put_nowait(None)
        await self.client.gate.wait()
        if self.client.broken:
            raise self.client.broken
        return [ResponseError("no") if command[-1] == "bad" else command[-1] for command in self.commands]


@pytest.fixture
async def client() -> EchoingClient:
    return EchoingClient()


@pytest.fixture
async def batch(client: EchoingClient) -> Batch:
    return Batch(cast("Redis", client))


async def test_commands_of_one_turn_share_a_pipeline(client: EchoingClient, batch: Batch) -> None:
    """Each caller gets the reply to its own."""
    assert await asyncio.gather(*(batch.execute("ECHO", i) for i in range(50))) == list(range(50))
    assert len(client.pipelines) == 1
    assert await batch.execute("ECHO", "later") == "later"
    assert len(client.pipelines) == 2


async def test_a_failing_command_fails_alone(batch: Batch) -> None:
    """Its neighbours in the pipeline get their replies."""
    before, bad, after = await asyncio.gather(
        *(batch.execute("ECHO", word) for word in ("before", "bad", "after")), return_exceptions=True
    )
    assert (before, after) == ("before", "after")
    assert isinstance(bad, ResponseError)


async def test_a_broken_connection_fails_everyone_who_waits(client: EchoingClient, batch: Batch) -> None:
    """And the next turn starts anew."""
    client.broken = RedisConnectionError("gone")
    both = await asyncio.gather(*(batch.execute("ECHO", i) for i in range(2)), return_exceptions=True)
    assert both == [client.broken, client.broken]
    client.broken = None
    assert await batch.execute("ECHO", "again") == "again"


async def test_a_caller_that_left_before_the_write_sends_nothing(client: EchoingClient, batch: Batch) -> None:
    """A reservation that nobody waits for must not be made."""
    async with asyncio.TaskGroup() as group:
        gone = group.create_task(batch.execute("ECHO", "gone"))
        stays = group.create_task(batch.execute("ECHO", "stays"))
        await asyncio.sleep(0)
        gone.cancel()
    assert stays.result() == "stays"
    assert client.pipelines == [[("ECHO", "stays")]]


async def test_a_turn_that_everyone_left_sends_nothing(client: EchoingClient, batch: Batch) -> None:
    """No empty pipeline."""
    async with asyncio.TaskGroup() as group:
        gone = group.create_task(batch.execute("ECHO", "gone"))
        await asyncio.sleep(0)
        gone.cancel()
    await batch.aclose()
    assert client.pipelines == []


async def test_a_caller_that_left_after_the_write_disturbs_nobody(client: EchoingClient, batch: Batch) -> None:
    """Its reply is dropped, the others arrive."""
    client.gate.clear()
    async with asyncio.TaskGroup() as group:
        gone = group.create_task(batch.execute("ECHO", "gone"))
        stays = group.create_task(batch.execute("ECHO", "stays"))
        await client.sent.get()
        gone.cancel()
        await asyncio.sleep(0)
        client.gate.set()
    assert stays.result() == "stays"
    assert gone.cancelled()


async def test_pipelines_on_the_wire_are_bounded(client: EchoingClient, batch: Batch) -> None:
    """What comes while all are out waits and then goes together."""
    client.gate.clear()
    async with asyncio.TaskGroup() as group:
        for i in range(PIPELINES_MAX):
            group.create_task(batch.execute("ECHO", i))
            await client.sent.get()
        late = [group.create_task(batch.execute("ECHO", f"late {i}")) for i in range(3)]
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(client.pipelines) == PIPELINES_MAX
        client.gate.set()
    assert [task.result() for task in late] == ["late 0", "late 1", "late 2"]
    assert len(client.pipelines) == PIPELINES_MAX + 1


async def test_closing_waits_for_what_was_accepted(client: EchoingClient, batch: Batch) -> None:
    """A settlement that is on its way arrives."""
    client.gate.clear()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(batch.execute("ECHO", "first"))
        await asyncio.sleep(0)
        closing = group.create_task(batch.aclose())
        await client.sent.get()
        assert not closing.done()
        client.gate.set()
    assert first.result() == "first"


async def test_nobody_waits_for_ever_when_the_loop_is_torn_down(client: EchoingClient, batch: Batch) -> None:
    """A cancelled pipeline is an error to those who wait for it, but for those who left."""
    client.gate.clear()
    waiter = asyncio.ensure_future(batch.execute("ECHO", "one"))
    gone = asyncio.ensure_future(batch.execute("ECHO", "two"))
    await client.sent.get()
    gone.cancel()
    await asyncio.sleep(0)
    for task in batch._sending:
        task.cancel()
    with pytest.raises(RedisConnectionError, match="stopping"):
        await waiter
