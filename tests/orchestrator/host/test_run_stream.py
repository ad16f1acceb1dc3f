"""Names of runs in a stream: each for one worker, until that worker acknowledges or dies."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import pytest

from orchestrator.errors import StoreUnavailable
from orchestrator.host.run_stream import IDLE_SECONDS, Receipt, RunStream, _release
from orchestrator.host.stream_dispatch import RENEW_SECONDS
from orchestrator.runs.runner import LEASE_SECONDS
from tests.orchestrator.host.streams import BOUND_SECONDS, Streams, be_idle, streams_at
from tests.orchestrator.runs.redis_servers import PASSWORD, redis_server

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", params=["valkey", "redis"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with redis_server(request.param) as url:
        yield url


@pytest.fixture
def streams(url: str) -> Streams:
    return streams_at(url)


@asynccontextmanager
async def open_streams(*streams: RunStream) -> AsyncIterator[None]:
    """Ready for use, and closed at the end."""
    async with AsyncExitStack() as stack:
        for stream in streams:
            await stream.open()
            stack.push_async_callback(stream.close)
        yield


async def take(stream: RunStream, count: int) -> list[tuple[str, Receipt]]:
    """So many names, as a worker is given them."""
    async with asyncio.timeout(BOUND_SECONDS), aclosing(stream.names()) as names:
        return [await anext(names) for _ in range(count)]


async def test_each_name_is_given_to_one_worker_and_deleted_when_acknowledged(streams: Streams) -> None:
    here, there = streams.of("w-1"), streams.of("w-2")
    async with open_streams(here, there):
        for name in ("a", "b", "ü/c"):
            await here.add(name)
        assert await there.waiting() == {"a", "b", "ü/c"}
        taken = [*await take(here, 2), *await take(there, 1)]
        assert [name for name, _ in taken] == ["a", "b", "ü/c"]
        assert (await here.waiting(), await here.client.xlen(here.key)) == (set(), 3)
        for _, receipt in taken:
            await receipt()
        assert await here.client.xlen(here.key) == 0
        assert [key async for key in here.client.scan_iter(f"{streams.prefix}*")] == [here.key.encode()]


async def test_names_that_were_added_before_the_first_worker_came_are_not_lost(streams: Streams) -> None:
    here = streams.of("w-1")
    await here.add("early")
    async with open_streams(here):
        assert (await take(here, 1))[0][0] == "early"


async def test_what_a_dead_worker_held_is_given_to_another_and_what_is_renewed_is_not(streams: Streams) -> None:
    """The engine looks after a new name only; the empty one is for that."""
    dead, here = streams.of("w-1"), streams.of("w-2")
    async with open_streams(dead, here):
        for name in ("lost", "alive"):
            await dead.add(name)
        _, (_, alive) = await take(dead, 2)
        assert await here.abandoned(10) == 0
        await be_idle(dead, IDLE_SECONDS)
        await dead.renew([alive])
        assert await here.abandoned(10) == 1
        await here.add("")
        assert [name for name, _ in await take(here, 2)] == ["", "lost"]
        assert await here.abandoned(10) == 0


async def test_what_is_handed_back_is_given_to_another_at_once(streams: Streams) -> None:
    leaving, here = streams.of("w-1"), streams.of("w-2")
    async with open_streams(leaving, here):
        for name in ("a", "b", "c"):
            await here.add(name)
        (_, done), *_ = await take(leaving, 2)
        await done()
        await leaving.hand_back(100)
        assert sorted(name for name, _ in await take(here, 2)) == ["b", "c"]


async def test_workers_that_are_gone_and_hold_nothing_are_forgotten(streams: Streams) -> None:
    gone, holding, here = streams.of("gone"), streams.of("holding"), streams.of("here")
    async with open_streams(gone, holding, here):
        for name in ("a", "b"):
            await here.add(name)
        ((_, receipt),) = await take(gone, 1)
        await receipt()
        await take(holding, 1)
        await here.forget_workers()
        assert await consumers(here) == {b"gone", b"holding"}
        await here.forget_workers(idle_seconds=0)
        assert await consumers(here) == {b"holding"}
        assert await here.client.ttl(here.key) > 86_400


async def consumers(stream: RunStream) -> set[bytes]:
    """Workers that the store knows of."""
    return {each["name"] for each in await stream.client.xinfo_consumers(stream.key, "workers")}


async def test_workers_with_other_flows_have_another_stream(streams: Streams) -> None:
    here, other = streams.of("w-1", flows=("A", "B")), streams.of("w-2", flows=("A",))
    there = streams.of("w-3", flows=("B", "A"))
    async with open_streams(here, other, there):
        await here.add("a")
        assert (await other.waiting(), await there.waiting()) == (set(), {"a"})


async def test_a_store_that_does_not_answer_is_told_without_its_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    stream = RunStream(f"redis://:{PASSWORD}@127.0.0.1:{port}/0", flows=(), worker="w-1")
    with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{port} does not answer") as told:
        await stream.add("a")
    assert PASSWORD not in str(told.value)
    await stream.close()


async def test_a_look_that_ends_in_the_middle_gives_its_connection_back(streams: Streams) -> None:
    here = streams.of("w-1")
    looks = []

    async def look() -> None:
        pipe = here.client.pipeline()
        pipe.connection = await pipe.connection_pool.get_connection()
        looks.append(pipe)
        raise asyncio.CancelledError

    async with open_streams(here):
        with pytest.raises(asyncio.CancelledError) as ended:
            await look()
        await _release(ended.value)
        assert looks[0].connection is None


def test_whoever_gets_the_name_of_a_dead_worker_finds_the_lease_over() -> None:
    """It was renewed for the last time when the worker died, at the earliest one renewal before."""
    assert IDLE_SECONDS > LEASE_SECONDS + RENEW_SECONDS
