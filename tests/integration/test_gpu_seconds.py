"""Books of GPU seconds in a real store."""

import time

import pytest
from redis.asyncio import Redis

from gateway.gpu_seconds.books import StoredBooks, read_books
from gateway.store.multiplexed import Multiplexed
from tests.stores import pass_store_time
from tiers.bill import Books

pytestmark = pytest.mark.integration
BASE = "https://api.runpod.test/v2/e1"
ENTRIES = {("attributed", "reasoning", BASE): 1500, ("starting", "", BASE): 20, ("idle", "", BASE): 300}


async def test_processes_hear_how_many_requests_are_in_flight_elsewhere(
    commands: Multiplexed, client: Redis, prefix: str
) -> None:
    """One that says nothing more is forgotten."""
    one, other = StoredBooks(commands, prefix=prefix), StoredBooks(commands, prefix=prefix)
    assert await one.exchange({BASE: 3}, 1, {}, holds_seconds=0.2) == {BASE: 0}
    assert await other.exchange({BASE: 1}, 1, {}, holds_seconds=30) == {BASE: 3}
    assert await one.exchange({BASE: 0}, 1, {}, holds_seconds=0.2) == {BASE: 1}
    assert await one.exchange({BASE: 2}, 1, {}, holds_seconds=0.2) == {BASE: 1}
    await pass_store_time(client, 0.25)
    assert await other.exchange({BASE: 1}, 1, {}, holds_seconds=30) == {BASE: 0}


async def test_a_batch_is_booked_once_however_often_it_is_told(
    commands: Multiplexed, client: Redis, prefix: str
) -> None:
    """Another process's is another one."""
    one, other = StoredBooks(commands, prefix=prefix), StoredBooks(commands, prefix=prefix)
    for books, batch in ((one, 1), (one, 1), (one, 2), (other, 1)):
        await books.exchange({BASE: 0}, batch, ENTRIES, holds_seconds=1)
    now = time.time()
    found = await read_books(client, now - 3600, now + 3600, prefix=prefix)
    assert sum(books.idle for books in found.values()) == 900
    assert sum(books.starting for books in found.values()) == 60
    assert sum(books.attributed["reasoning"] for books in found.values()) == 4500
    assert {base for _, base in found} == {BASE}


async def test_only_the_time_that_is_asked_for_is_read(commands: Multiplexed, client: Redis, prefix: str) -> None:
    await StoredBooks(commands, prefix=prefix).exchange({BASE: 0}, 1, ENTRIES, holds_seconds=1)
    now = time.time()
    assert await read_books(client, now - 7200 - 86400, now - 7200, prefix=prefix) == {}
    [books] = (await read_books(client, now - 3600, now + 3600, prefix=prefix)).values()
    assert books == Books(attributed={"reasoning": 1500}, starting=20, idle=300)
