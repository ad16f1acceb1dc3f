"""Records of requests, from a request's end to the questions asked afterwards."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from gateway.errors import StoreUnavailable
from gateway.record import Charge, RequestRecord
from gateway.store import open_store
from gateway.store.multiplexed import Multiplexed
from gateway.telemetry.records import BATCH_MAX, FORGET_BATCH, PAGE_RECORDS, RecordStore
from tests.stores import client_of, commands_of, eventually

pytestmark = pytest.mark.integration


def record(request_id: str, *, key: str = "demo", run: str = "run-1") -> RequestRecord:
    return RequestRecord(
        request_id=request_id,
        received_unix=1_800_000_000.25,
        operation="chat",
        stream=True,
        model="auto",
        key=key,
        agent="writer",
        flow="report",
        run=run,
        step="draft",
        task="",
        tier="routing",
        endpoint="routing-1",
        reason="default",
        attempts=1,
        status=200,
        outcome="ok",
        error="",
        queue_delay_seconds=0.5,
        time_to_first_byte_seconds=None,
        time_to_first_token_seconds=None,
        duration_seconds=1.5,
        upstream_seconds=1.25,
        input_tokens=12,
        output_tokens=5,
        cached_tokens=0,
        reasoning_tokens=0,
        usage_reported=True,
        gpu_seconds=0.75,
        cost_microdollars=120,
        charges=(Charge(tier="routing", endpoint="routing-1", gpu_seconds=0.75, cost_microdollars=120),),
    )


@asynccontextmanager
async def running(records: RecordStore) -> AsyncIterator[None]:
    """The writer, as the gateway runs it."""
    writer = asyncio.ensure_future(records.run())
    try:
        yield
    finally:
        writer.cancel()
        with suppress(asyncio.CancelledError):
            await writer


async def test_a_record_is_read_back_as_it_was(client: Redis, commands: Multiplexed, prefix: str) -> None:
    """Every field, by its name; what never happened is null."""
    records = RecordStore(client, commands, prefix=prefix)
    records.add(record("a"))
    assert await records.recent(key=None, run=None, limit=10) == [msgspec.json.decode(msgspec.json.encode(record("a")))]


async def test_questions_are_by_key_by_run_or_both(client: Redis, commands: Multiplexed, prefix: str) -> None:
    """The latest ones that match, newest last."""
    records = RecordStore(client, commands, prefix=prefix)
    for i in range(6):
        records.add(record(str(i), key=("demo", "other")[i % 2], run=f"run-{i // 3}"))

    async def ids(key: str | None, run: str | None, limit: int = 10) -> str:
        return "".join(str(row["request_id"]) for row in await records.recent(key=key, run=run, limit=limit))

    assert await ids(None, None) == "012345"
    assert await ids("demo", None) == "024"
    assert await ids(None, "run-1") == "345"
    assert await ids("demo", "run-1") == "4"
    assert await ids("nobody", None) == ""
    assert await ids(None, None, 2) == "45"
    assert await ids(None, None, 0) == ""


async def test_questions_look_back_beyond_one_page(client: Redis, commands: Multiplexed, prefix: str) -> None:
    """An old record of a quiet run is found under the records of a busy one."""
    records = RecordStore(client, commands, prefix=prefix)
    records.add(record("quiet", run="quiet"))
    for i in range(2 * PAGE_RECORDS):
        records.add(record(str(i)))
    assert len(await records.recent(key=None, run="quiet", limit=1)) == 1
    assert len(await records.recent(key=None, run=None, limit=PAGE_RECORDS + 1)) == PAGE_RECORDS + 1


async def test_the_writer_writes_without_being_asked(client: Redis, commands: Multiplexed, prefix: str) -> None:
    """Another process sees the records soon, in the order of their ends."""
    records = RecordStore(client, commands, prefix=prefix)
    async with running(records):
        for i in range(3):
            records.add(record(str(i)))

        async def seen() -> bool:
            rows = await RecordStore(client, commands, prefix=prefix).recent(key=None, run=None, limit=9)
            return [row["request_id"] for row in rows] == ["0", "1", "2"]

        await eventually(seen)


async def test_the_store_keeps_about_the_number_that_is_set(client: Redis, commands: Multiplexed, prefix: str) -> None:
    """The oldest go first."""
    records = RecordStore(client, commands, prefix=prefix, records_max=100)
    for i in range(1000):
        records.add(record(str(i)))
    rows = await records.recent(key=None, run=None, limit=1000)
    assert 100 <= len(rows) < 300
    assert rows[-1]["request_id"] == "999"


async def test_records_of_requests_that_came_too_long_ago_are_forgotten(
    client: Redis, commands: Multiplexed, prefix: str
) -> None:
    """All of them, however many there are; not those that are as old as the oldest to keep."""
    records = RecordStore(client, commands, prefix=prefix)
    for i in range(BATCH_MAX * (FORGET_BATCH + 2)):
        records.add(record(f"old-{i}"))
    await records.flush()
    records.add(msgspec.structs.replace(record("new"), received_unix=1_800_000_001.0))
    await records.flush()
    assert await records.forget(1_800_000_001.0) == FORGET_BATCH + 2
    assert await records.forget(1_800_000_001.0) == 0
    assert [row["request_id"] for row in await records.recent(key=None, run=None, limit=9)] == ["new"]


async def test_while_the_store_is_away_the_latest_records_wait(tmp_path: Path) -> None:
    """A bounded number of them; the older ones are dropped and counted, and nothing is raised to a request."""
    async with open_store(f"unix://{tmp_path}/nobody", data_directory=tmp_path) as store:
        records = RecordStore(store.client, store.commands, buffer_max=3)
        for i in range(5):
            records.add(record(str(i)))
        assert records.dropped == 2
        with pytest.raises(StoreUnavailable, match="keeps records cannot be reached"):
            await records.flush()
        with pytest.raises(StoreUnavailable):
            await records.recent(key=None, run=None, limit=1)
        assert [msgspec.json.decode(text)["request_id"] for text in records._pending] == ["2", "3", "4"]


async def test_a_writer_goes_on_when_its_store_comes_back(prefix: str, tmp_path: Path) -> None:
    """What waited is written once, in order."""
    socket = tmp_path / "late.sock"
    async with client_of(socket) as client, commands_of(socket) as commands:
        records = RecordStore(client, commands, prefix=prefix)
        for i in range(3):
            records.add(record(str(i)))
        async with running(records):
            await asyncio.sleep(0.2)  # long enough for a write to fail; the test holds if none has yet
            async with open_store("embedded", data_directory=tmp_path) as store:
                socket.symlink_to(await _socket_of(store.client))

                async def written() -> bool:
                    rows = await RecordStore(store.client, store.commands, prefix=prefix).recent(
                        key=None, run=None, limit=9
                    )
                    return [row["request_id"] for row in rows] == ["0", "1", "2"]

                await eventually(written)


async def test_records_are_written_together(client: Redis, commands: Multiplexed, prefix: str) -> None:
    """As they were encoded, many to an entry of the stream, and entries of any size are read and counted alike."""
    records = RecordStore(client, commands, prefix=prefix)
    sizes = [1, 2, BATCH_MAX + 30, 1]
    written = [msgspec.json.encode(record(str(i))) for i in range(sum(sizes))]
    rest = iter(written)
    for size in sizes:
        for _ in range(size):
            records.keep(record("any"), next(rest))
        await records.flush()
    stream = f"{{{prefix}}}:records"
    assert await client.xlen(stream) == 5
    entries: Any = await client.xrevrange(stream, count=1)
    [(newest, _)] = entries
    assert newest == b"%d-1" % len(written)
    expected = [msgspec.json.decode(each) for each in written]
    assert await records.recent(key=None, run=None, limit=1000) == expected
    assert await records.recent(key=None, run=None, limit=3) == expected[-3:]


async def test_a_record_written_twice_is_shown_once(client: Redis, commands: Multiplexed, prefix: str) -> None:
    """As when the answer to a write was lost and it was repeated."""
    for _ in range(2):
        records = RecordStore(client, commands, prefix=prefix)
        records.add(record("a"))
        await records.flush()
    assert len(await records.recent(key=None, run=None, limit=9)) == 1


async def test_a_question_that_the_store_refuses_is_told(client: Redis, commands: Multiplexed, prefix: str) -> None:
    """Not an empty list, which would look like "no requests"."""
    await client.set(f"{{{prefix}}}:records", "not a stream")
    with pytest.raises(StoreUnavailable, match="WRONGTYPE"):
        await RecordStore(client, commands, prefix=prefix).recent(key=None, run=None, limit=9)


async def test_a_writer_cancelled_in_mid_write_loses_nothing(client: Redis, commands: Multiplexed, prefix: str) -> None:
    """The flush after it writes the rest."""
    records = RecordStore(client, commands, prefix=prefix)
    for i in range(3 * BATCH_MAX):
        records.add(record(str(i)))
    write = asyncio.ensure_future(records.flush())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    write.cancel()
    with suppress(asyncio.CancelledError):
        await write
    assert len(records._pending) == 3 * BATCH_MAX
    assert len(await records.recent(key=None, run=None, limit=5000)) == 3 * BATCH_MAX


async def _socket_of(client: Redis) -> str:
    config: dict[Any, Any] = await client.config_get("unixsocket")
    [path] = config.values()
    return path if isinstance(path, str) else bytes(path).decode()
