"""How often a key may have workers woken, over processes that share a store."""

import pytest
from redis.asyncio import Redis

from gateway.errors import RateLimited
from gateway.store.multiplexed import Multiplexed
from gateway.upstream.allowance import Allowance
from tests.stores import pass_store_time

pytestmark = pytest.mark.integration


async def test_a_key_has_so_many_within_a_minute_over_all_processes(
    client: Redis, commands: Multiplexed, prefix: str
) -> None:
    """Each key by itself; what is kept ends with the minute, in which refusals do not count."""
    one, two = (Allowance(commands, prefix=prefix, most=2) for _ in range(2))
    await one.take("demo")
    await two.take("demo")
    for process in (one, two):
        with pytest.raises(RateLimited) as refused:
            await process.take("demo")
        assert 59 < (refused.value.retry_after_seconds or 0) <= 60
    await one.take("another")
    [kept] = await client.keys(f"{{{prefix}}}*demo")
    assert await client.get(kept) in {"2", b"2"}
    await client.pexpire(kept, 1)
    await pass_store_time(client, 0.005)
    await one.take("demo")
