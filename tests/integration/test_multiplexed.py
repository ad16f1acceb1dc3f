"""The commands' connection against real stores."""

import asyncio
import sys
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from gateway.store.address import Address
from gateway.store.multiplexed import Multiplexed
from tests.stores import eventually

pytestmark = pytest.mark.integration

ON_UVLOOP = """
import asyncio, sys, uvloop
from pathlib import Path
from tests.stores import commands_of

async def main(socket, key):
    async with commands_of(Path(socket)) as commands:
        replies = await asyncio.gather(*(commands.execute("RPUSH", key, i) for i in range(5000)))
        assert replies == list(range(1, 5001)), replies[:10]
        large = b"x" * 5_000_000
        await commands.execute("SET", key + ":large", large)
        assert await commands.execute("GET", key + ":large") == large
        commands.execute("RPUSH", key, "last")

uvloop.run(main(*sys.argv[1:]))
"""


async def test_commands_run_in_the_order_in_which_they_were_given(
    commands: Multiplexed, client: Redis, prefix: str
) -> None:
    """Those of callers that left among them."""
    replies = [commands.execute("RPUSH", prefix, i) for i in range(1000)]
    for reply in replies[::3]:
        reply.cancel()
    await commands.execute("PING")
    assert [int(each) for each in await client.lrange(prefix, 0, -1)] == list(range(1000))
    assert replies[1].result() == 2


async def test_many_callers_over_many_turns_get_their_own(commands: Multiplexed, prefix: str) -> None:
    """Mixed with errors and with replies larger than one read."""

    async def caller(number: int) -> None:
        text = f"{number}:" + "x" * (number * 3000 % 200_000)
        for _ in range(5):
            assert await commands.execute("ECHO", text) == text.encode()
            with pytest.raises(ResponseError, match=f"'{prefix}-{number}'"):
                await commands.execute(f"{prefix}-{number}")

    await asyncio.gather(*(caller(i) for i in range(100)))


async def test_uvloop_carries_it_as_well(valkey: Path, client: Redis, prefix: str) -> None:
    """What was sent before the end arrives."""
    program = await asyncio.create_subprocess_exec(sys.executable, "-c", ON_UVLOOP, str(valkey), prefix)
    assert await program.wait() == 0
    assert await client.lrange(prefix, -1, -1) == [b"last"]
    assert await client.llen(prefix) == 5001


async def test_a_login_is_checked_and_a_database_is_chosen(valkey: Path, client: Redis, prefix: str) -> None:
    """By a user of its own."""
    await client.acl_setuser(prefix, enabled=True, passwords=["+hunter2"], keys=["*"], commands=["+@all"])
    try:
        inside = Multiplexed(
            Address(path=str(valkey), username=prefix, password="hunter2", database=5, client_name="me")
        )
        assert await inside.execute("SET", prefix, "in 5") == b"OK"
        assert await inside.execute("CLIENT", "GETNAME") == b"me"
        assert await client.get(prefix) is None
        assert await inside.execute("FLUSHDB") == b"OK"
        await inside.aclose()
        outside = Multiplexed(Address(path=str(valkey), username=prefix, password="wrong"))
        with pytest.raises(RedisConnectionError, match="WRONGPASS"):
            await outside.execute("PING")
        await outside.aclose()
    finally:
        await client.acl_deluser(prefix)


async def test_a_killed_connection_is_made_again(commands: Multiplexed, client: Redis) -> None:
    """By the next command; who waits is told."""
    own = await commands.execute("CLIENT", "ID")
    blocked = commands.execute("BLPOP", "nothing", 0)
    await eventually(lambda: len(commands._waiting) == 1)
    await client.client_kill_filter(_id=str(own))
    with pytest.raises(RedisConnectionError, match="lost"):
        await blocked
    assert await commands.execute("CLIENT", "ID") != own
