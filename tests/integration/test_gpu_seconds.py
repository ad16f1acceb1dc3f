"""Books of GPU seconds in a real store."""

import time

import pytest
from redis.asyncio import Redis

from gateway.gpu_seconds.books import BELIEVED_SECONDS, Report, StoredBooks, read_books
from gateway.store.multiplexed import Multiplexed
from tests.stores import pass_store_time
from tiers.bill import Books

pytestmark = pytest.mark.integration
BASE = "https://api.runpod.test/v2/e1"
ENTRIES = {("attributed", "reasoning", BASE): 1500, ("starting", "", BASE): 20, ("awake", "", BASE): 2000}


async def test_processes_hear_how_many_requests_are_in_flight_elsewhere(
    commands: Multiplexed, client: Redis, prefix: str
) -> None:
    """One that says nothing more is forgotten."""
    one, other = StoredBooks(commands, prefix=prefix), StoredBooks(commands, prefix=prefix)
    assert await one.exchange({BASE: Report(in_flight=3)}, 1, {}, holds_seconds=0.2) == {BASE: 0}
    assert await other.exchange({BASE: Report(in_flight=1)}, 1, {}, holds_seconds=30) == {BASE: 3}
    assert await one.exchange({BASE: Report(in_flight=0)}, 1, {}, holds_seconds=0.2) == {BASE: 1}
    assert await one.exchange({BASE: Report(in_flight=2)}, 1, {}, holds_seconds=0.2) == {BASE: 1}
    await pass_store_time(client, 0.25)
    assert await other.exchange({BASE: Report(in_flight=1)}, 1, {}, holds_seconds=30) == {BASE: 0}


async def test_a_batch_is_booked_once_however_often_it_is_told(
    commands: Multiplexed, client: Redis, prefix: str
) -> None:
    """Another process's is another one."""
    one, other = StoredBooks(commands, prefix=prefix), StoredBooks(commands, prefix=prefix)
    for books, batch in ((one, 1), (one, 1), (one, 2), (other, 1)):
        await books.exchange({BASE: Report(in_flight=0)}, batch, ENTRIES, holds_seconds=1)
    now = time.time()
    found = await read_books(client, now - 3600, now + 3600, prefix=prefix)
    assert sum(books.idle for books in found.values()) == 3 * 500
    assert sum(books.starting for books in found.values()) == 60
    assert sum(books.attributed["reasoning"] for books in found.values()) == 4500
    assert {base for _, base in found} == {BASE}


async def test_only_the_time_that_is_asked_for_is_read(commands: Multiplexed, client: Redis, prefix: str) -> None:
    await StoredBooks(commands, prefix=prefix).exchange({BASE: Report(in_flight=0)}, 1, ENTRIES, holds_seconds=1)
    now = time.time()
    assert await read_books(client, now - 7200 - 86400, now - 7200, prefix=prefix) == {}
    [books] = (await read_books(client, now - 3600, now + 3600, prefix=prefix)).values()
    assert books == Books(attributed={"reasoning": 1500}, starting=20, awake=2000)


async def test_what_workers_do_is_booked_from_one_word_to_the_next_whoever_tells(
    commands: Multiplexed, client: Redis, prefix: str
) -> None:
    """One is killed, another goes on; what both tell is booked once. Who does not look says nothing of workers."""
    one, other = StoredBooks(commands, prefix=prefix), StoredBooks(commands, prefix=prefix)
    began = await _store_time(client)
    await one.exchange({BASE: Report(workers=(0.0, 2.0))}, 1, {}, holds_seconds=1)
    await pass_store_time(client, 0.3)
    await other.exchange({BASE: Report()}, 1, {}, holds_seconds=1)
    await other.exchange({BASE: Report(workers=(0.0, 2.0))}, 1, {}, holds_seconds=1)
    await one.exchange({BASE: Report(workers=(1.0, 2.0))}, 2, {}, holds_seconds=1)
    await pass_store_time(client, 0.2)
    await other.exchange({BASE: Report(workers=(0.0, 0.0))}, 2, {}, holds_seconds=1)
    ended = await _store_time(client)
    await pass_store_time(client, 0.1)
    await other.exchange({BASE: Report(workers=(0.0, 0.0))}, 3, {}, holds_seconds=1)
    now = time.time()
    [books] = (await read_books(client, now - 3600, now + 3600, prefix=prefix)).values()
    assert 1000 <= books.awake <= 2000 * (ended - began) + 4
    assert 200 <= books.starting < books.awake / 2


async def test_what_was_told_too_long_ago_is_not_believed(commands: Multiplexed, client: Redis, prefix: str) -> None:
    books = StoredBooks(commands, prefix=prefix)
    before = int((await _store_time(client) - BELIEVED_SECONDS) * 1000) - 1
    await client.hset(f"{{{prefix}}}:gpu:workers", BASE, f"{before} 0 1")
    await books.exchange({BASE: Report(workers=(0.0, 1.0))}, 1, {}, holds_seconds=1)
    now = time.time()
    assert await read_books(client, now - 3600, now + 3600, prefix=prefix) == {}


async def test_what_was_booked_too_much_is_taken_back(commands: Multiplexed, client: Redis, prefix: str) -> None:
    books = StoredBooks(commands, prefix=prefix)
    await books.exchange({BASE: Report()}, 1, ENTRIES, holds_seconds=1)
    await books.exchange({BASE: Report()}, 2, {("awake", "", BASE): -100}, holds_seconds=1)
    now = time.time()
    [found] = (await read_books(client, now - 3600, now + 3600, prefix=prefix)).values()
    assert found.awake == 1900


async def _store_time(client: Redis) -> float:
    seconds, microseconds = await client.time()
    return float(seconds) + microseconds / 1e6
