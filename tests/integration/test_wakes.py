"""How many scouts are out, over processes that share a store."""

import pytest
from redis.asyncio import Redis

from gateway.store.multiplexed import Multiplexed
from gateway.upstream.wakes import Wakes
from tests.stores import pass_store_time

pytestmark = pytest.mark.integration
BASE = "https://api.runpod.test/v2/e1"


async def test_no_more_are_out_than_may_be_over_all_processes(commands: Multiplexed, prefix: str) -> None:
    """Of each endpoint by itself."""
    one, two = (Wakes(commands, prefix=prefix, back_seconds=0) for _ in range(2))
    assert await one.claim(BASE, 2, 3) == 2
    assert await two.claim(BASE, 2, 3) == 1
    assert await one.claim(BASE, 1, 3) == 0
    assert await one.claim("another", 1, 1) == 1
    await one.release(BASE, 2)
    assert await two.claim(BASE, 5, 3) == 2


async def test_a_scout_that_is_back_counts_for_a_moment_more(client: Redis, commands: Multiplexed, prefix: str) -> None:
    """The process that sent it knows what it found; until the others know, too, they send none."""
    one, two = (Wakes(commands, prefix=prefix, back_seconds=0.2) for _ in range(2))
    assert await one.claim(BASE, 1, 1) == 1
    await one.release(BASE, 1)
    assert [await one.claim(BASE, 1, 1), await two.claim(BASE, 1, 1), await two.claim(BASE, 2, 2)] == [0, 0, 1]
    await pass_store_time(client, 0.25)
    assert await one.claim(BASE, 1, 2) == 1


async def test_a_process_that_was_killed_leaves_nothing_behind_for_long(
    client: Redis, commands: Multiplexed, prefix: str
) -> None:
    """One that lives says it again in time."""
    killed, alive = Wakes(commands, prefix=prefix, life_seconds=0.2), Wakes(commands, prefix=prefix, life_seconds=30)
    other = Wakes(commands, prefix=prefix)
    assert await killed.claim(BASE, 1, 2) == 1
    assert await alive.claim(BASE, 1, 2) == 1
    assert await other.claim(BASE, 1, 2) == 0
    await pass_store_time(client, 0.25)
    assert await other.claim(BASE, 2, 2) == 1


async def test_nothing_is_left_when_all_are_back(client: Redis, commands: Multiplexed, prefix: str) -> None:
    """And while somebody is out it ends by itself."""
    wakes = Wakes(commands, prefix=prefix, back_seconds=0)
    await wakes.claim(BASE, 1, 1)
    [key] = await client.keys(f"{{{prefix}}}*")
    assert 50_000 < await client.pttl(key) <= 60_000
    await wakes.release(BASE, 1)
    assert await client.keys(f"{{{prefix}}}*") == []
