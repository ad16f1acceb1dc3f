"""Stores behind Sentinels and in clusters, of real servers: found, followed, and never waited for without end."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.errors import StoreUnavailable
from gateway.store import Store, open_store
from gateway.store.resp import words
from gateway.store.script import Script
from tests.store_servers import HOST, SERVICE, Server, Watched, cluster, move_slot, owner_of, watched
from tests.stores import eventually

pytestmark = pytest.mark.integration

KEY = "{tiergate}:test"
ADD = Script("return redis.call('INCRBY', KEYS[1], ARGV[1])", key=KEY.encode(), keeps="a test's number")
ANSWER_SECONDS = 5.0
"""No request waits longer: the answer's time, and once more."""


async def added(store: Store) -> int | None:
    """The number after one more; ``None`` where the store did not take it, which is told in time."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return int(await ADD.run(store.commands, 1, words("1")))
    except StoreUnavailable:
        return None


async def is_back(store: Store) -> bool:
    return await added(store) is not None


@pytest.fixture(params=["redis", "valkey"])
async def trio(request: pytest.FixtureRequest) -> AsyncIterator[Watched]:
    async with watched(request.param) as servers:
        yield servers


def sentinel_url(servers: Watched) -> str:
    # The first one is not there: the next is asked.
    return f"redis+sentinel://{HOST}:1,{HOST}:{servers.sentinel.port}/{SERVICE}/0"


async def test_a_master_that_crashes_is_followed_to_its_replica(trio: Watched, tmp_path: Path) -> None:
    """By the commands of requests and by the client for large reads, without anybody telling them."""
    async with open_store(sentinel_url(trio), data_directory=tmp_path) as store:
        assert await added(store) == 1
        assert await store.client.get(KEY) == b"1"
        await trio.in_step()
        trio.master.kill()
        await eventually(lambda: is_back(store))
        assert await trio.master_port() == trio.replica.port
        assert int(await store.client.get(KEY) or 0) >= 2
        async with trio.replica.client() as client:
            assert await client.get(KEY) == await store.client.get(KEY)


async def test_a_master_that_hangs_is_followed_as_well(trio: Watched, tmp_path: Path) -> None:
    """Its connection stays open, so only silence tells."""
    async with open_store(sentinel_url(trio), data_directory=tmp_path) as store:
        assert await added(store) == 1
        trio.master.stop()
        await eventually(lambda: is_back(store))
        assert await trio.master_port() == trio.replica.port


async def test_a_master_that_steps_down_is_left(trio: Watched, tmp_path: Path) -> None:
    """It is well and answers, but takes no writes any more."""
    async with open_store(sentinel_url(trio), data_directory=tmp_path) as store:
        assert await added(store) == 1
        await trio.fail_over()

        async def reached() -> bool:
            # What the old master still takes before it knows that it stepped down is lost with it.
            await added(store)
            async with trio.replica.client() as client:
                return int(await client.get(KEY) or 0) >= 2

        await eventually(reached)
        assert await store.client.get(KEY)


async def test_without_a_sentinel_the_store_is_unavailable_in_time(tmp_path: Path) -> None:
    """Nobody waits longer than for an answer, and later ones not at all; the message names no password."""
    url = f"redis+sentinel://me:hunter2@{HOST}:1/{SERVICE}?sentinel_password=hunter3"
    async with open_store(url, data_directory=tmp_path) as store:
        async with asyncio.timeout(ANSWER_SECONDS):
            with pytest.raises(StoreUnavailable, match="No master found") as caught:
                await store.ping()
        async with asyncio.timeout(0.2):
            with pytest.raises(StoreUnavailable):
                await store.ping()
    assert "hunter" not in caught.value.message


@pytest.fixture(params=["redis", "valkey"])
async def nodes(request: pytest.FixtureRequest) -> AsyncIterator[list[Server]]:
    async with cluster(request.param) as servers:
        yield list(servers)


async def test_in_a_cluster_the_owner_of_the_keys_is_found_and_followed(nodes: list[Server], tmp_path: Path) -> None:
    """From any node; after its slot moved, commands and large reads go to the new owner, and nothing is lost."""
    owner = await owner_of(nodes, KEY)
    other = next(node for node in nodes if node is not owner)
    async with open_store(f"redis+cluster://{HOST}:1,{HOST}:{other.port}", data_directory=tmp_path) as store:
        assert await added(store) == 1
        assert await store.client.get(KEY) == b"1"
        await move_slot(nodes, KEY, other)
        assert await added(store) == 2
        assert await store.client.get(KEY) == b"2"
        assert await owner_of(nodes, KEY) is other


async def test_a_cluster_that_lost_the_owner_is_unavailable_in_time(nodes: list[Server], tmp_path: Path) -> None:
    """Nobody hangs on it."""
    owner = await owner_of(nodes, KEY)
    other = next(node for node in nodes if node is not owner)
    async with open_store(f"redis+cluster://{HOST}:{other.port}", data_directory=tmp_path) as store:
        assert await added(store) == 1
        owner.stop()
        assert await added(store) is None
        owner.go_on()
        await eventually(lambda: is_back(store))
