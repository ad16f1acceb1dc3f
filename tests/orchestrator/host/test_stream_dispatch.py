"""Runs are brought to workers that share a store: each takes what it has room for, and what others leave."""

import asyncio
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, aclosing, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest

from orchestrator.errors import StoreUnavailable
from orchestrator.host.run_stream import IDLE_SECONDS, RunStream
from orchestrator.host.stream_dispatch import StreamDispatch
from tests.orchestrator.host.streams import BOUND_SECONDS, Streams, be_idle, streams_at, until
from tests.orchestrator.runs.redis_servers import binary, redis_server

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with redis_server("valkey") as url:
        yield url


@pytest.fixture
def streams(url: str) -> Streams:
    return streams_at(url)


class Worker:
    """Works on what it is brought, until a test lets it end."""

    def __init__(self, stream: RunStream) -> None:
        self.stream = stream
        self.said: list[str] = []
        self.dispatch = StreamDispatch(
            stream, say=self.said.append, renew_seconds=0.01, upkeep_seconds=0.02, retry_seconds=0.01
        )
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.under_way = 0
        self.most_at_once = 0
        self.at_once: Callable[[str], bool] = lambda _name: False
        self.go: dict[str, asyncio.Event] = {}

    async def __call__(self, name: str) -> None:
        """One run."""
        self.begun.append(name)
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            if not self.at_once(name):
                await self.go.setdefault(name, asyncio.Event()).wait()
        finally:
            self.under_way -= 1
            self.ended.append(name)

    @asynccontextmanager
    async def serving(self, at_once: int = 2) -> AsyncIterator[None]:
        """Serve until the end of the block."""
        task = asyncio.get_running_loop().create_task(self.dispatch.serve(self, at_once=at_once))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def has(self, count: int) -> None:
        """Wait until so many runs have begun here."""
        await until(lambda: len(self.begun) >= count)


async def test_a_worker_takes_what_it_has_room_for_and_an_idle_one_gets_the_rest(streams: Streams) -> None:
    one, two = Worker(streams.of("w-1")), Worker(streams.of("w-2"))
    names = ["a", "b", "c", "d", "e"]
    async with one.serving():
        for name in names:
            await one.dispatch.enqueue(name)
        await one.has(2)
        async with two.serving():
            await two.has(2)
            assert (one.begun, two.begun, await one.dispatch.waiting()) == (["a", "b"], ["c", "d"], {"e"})
            two.go["c"].set()
            await two.has(3)
            assert two.begun == ["c", "d", "e"]
            assert await one.dispatch.waiting() == set()


async def test_fifty_queued_runs_are_shared_by_two_workers(streams: Streams) -> None:
    """Each is done once, and nothing is left in the store."""
    one, two = Worker(streams.of("w-1")), Worker(streams.of("w-2"))
    names = [f"run-{number}" for number in range(50)]
    one.at_once = two.at_once = lambda _name: True
    async with one.serving(4), two.serving(4):
        for name in names:
            await one.dispatch.enqueue(name)
        await until(lambda: len(one.ended) + len(two.ended) == len(names))
        assert Counter(one.begun + two.begun) == Counter(names)
        assert min(len(one.begun), len(two.begun)) >= 5
        await until_empty(one.stream)


async def until_empty(stream: RunStream) -> None:
    """Wait until all was acknowledged."""
    async with asyncio.timeout(BOUND_SECONDS):
        while await stream.client.xlen(stream.key):  # noqa: ASYNC110 - another task's doing
            await asyncio.sleep(0.002)


async def test_a_run_that_is_told_of_while_it_is_under_way_is_looked_at_once_more_afterwards(streams: Streams) -> None:
    """A person may answer in the moment in which it comes to rest. It takes no second place meanwhile."""
    worker = Worker(streams.of("w-1"))
    async with worker.serving(2):
        for name in ("a", "a", "a", "b"):
            await worker.dispatch.enqueue(name)
        await worker.has(2)
        assert worker.begun == ["a", "b"]
        worker.go["a"].set()
        await worker.has(3)
        assert worker.begun == ["a", "b", "a"]
        worker.go["b"].set()
        await until_empty(worker.stream)
        assert (worker.most_at_once, len(worker.begun)) == (2, 3)


async def test_a_worker_that_ends_hands_its_runs_on_at_once(streams: Streams) -> None:
    one, two = Worker(streams.of("w-1")), Worker(streams.of("w-2"))
    async with AsyncExitStack() as stack:
        async with one.serving(2):
            await one.dispatch.enqueue("a")
            await one.dispatch.enqueue("b")
            await one.has(2)
            await stack.enter_async_context(two.serving(2))
        assert sorted(one.ended) == ["a", "b"]
        await two.has(2)
        assert sorted(two.begun) == ["a", "b"]


async def test_a_worker_that_drains_takes_nothing_more_and_ends_what_it_has(streams: Streams) -> None:
    one, two = Worker(streams.of("w-1")), Worker(streams.of("w-2"))
    async with one.serving():
        await one.dispatch.enqueue("a")
        await one.has(1)
        one.dispatch.drain()
        async with two.serving():
            await one.dispatch.enqueue("b")
            await two.has(1)
            one.go["a"].set()
            await until(lambda: one.ended == ["a"])
            assert (one.begun, two.begun) == (["a"], ["b"])


async def test_a_dead_workers_run_is_taken_by_another_although_nothing_new_comes(streams: Streams) -> None:
    """And those that are under way stay where they are, however long."""
    here, there, dead = Worker(streams.of("w-1")), Worker(streams.of("w-2")), streams.of("dead")
    async with here.serving(1):
        await here.dispatch.enqueue("long")
        await here.has(1)
        for name in ("a", "b"):
            await here.dispatch.enqueue(name)
        async with asyncio.timeout(BOUND_SECONDS), aclosing(dead.names()) as names:
            assert [(await anext(names))[0] for _ in range(2)] == ["a", "b"]
        await be_idle(dead, IDLE_SECONDS)
        async with there.serving():
            await there.has(2)
            assert (sorted(there.begun), here.begun) == (["a", "b"], ["long"])
        await be_idle(here.stream, IDLE_SECONDS / 2)
        async with asyncio.timeout(BOUND_SECONDS):
            while await idle_milliseconds(here.stream) >= IDLE_SECONDS * 500:  # noqa: ASYNC110 - another task's doing
                await asyncio.sleep(0.002)
    await dead.close()


async def idle_milliseconds(stream: RunStream) -> int:
    """For how long the worker has not renewed the one that it holds."""
    (held,) = await stream.client.xpending_range(stream.key, "workers", "-", "+", count=1, consumername=stream.worker)
    return int(held["time_since_delivered"])


async def test_what_the_store_did_not_answer_for_is_tried_again_later(streams: Streams) -> None:
    tries: list[str] = []

    async def work(name: str) -> None:
        tries.append(name)
        if len(tries) == 1:
            raise StoreUnavailable("the store at s does not answer")

    stream = streams.of("w-1", idle_seconds=0.05)
    dispatch = StreamDispatch(stream, say=print, renew_seconds=0.01, upkeep_seconds=0.02)
    serving = asyncio.get_running_loop().create_task(dispatch.serve(work, at_once=1))
    await dispatch.enqueue("a")
    await until(lambda: tries == ["a", "a"])
    await until_empty(stream)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving


@contextmanager
def server_at(folder: Path) -> Iterator[Callable[[], None]]:
    """A server that forgets nothing when it is killed; yields what kills it."""

    def stop() -> None:
        process.kill()
        process.wait(BOUND_SECONDS)

    command = [binary("valkey"), "--port", "0", "--unixsocket", str(folder / "s"), "--dir", str(folder)]
    process = subprocess.Popen([*command, "--appendonly", "yes", "--appendfsync", "always"], stdout=subprocess.DEVNULL)
    try:
        yield stop
    finally:
        stop()


async def test_a_store_that_was_away_is_served_from_again(tmp_path: Path) -> None:
    """What was under way goes on meanwhile and is not begun twice; the outage is said once in a while."""
    worker = Worker(streams_at(f"unix://{tmp_path / 's'}").of("w-1"))
    with ExitStack() as server:
        stop = server.enter_context(server_at(tmp_path))
        async with worker.serving(2):
            await added(worker.dispatch, "a")
            await worker.has(1)
            stop()
            await until(lambda: worker.said)
            with pytest.raises(StoreUnavailable):
                await worker.dispatch.enqueue("b")
            with pytest.raises(StoreUnavailable):
                await worker.dispatch.waiting()
            server.enter_context(server_at(tmp_path))
            await added(worker.dispatch, "b")
            await worker.has(2)
            for name in ("a", "b"):
                worker.go[name].set()
            await until_empty(worker.stream)
    assert (worker.begun, worker.ended) == (["a", "b"], ["a", "b"])
    assert len(worker.said) == 1
    assert worker.said[0].startswith(f"dispatch: the store of runs at {tmp_path / 's'} does not answer")


async def added(dispatch: StreamDispatch, name: str) -> None:
    """Tell of a run, as soon as the store is there."""
    async with asyncio.timeout(BOUND_SECONDS):
        while True:
            try:
                await dispatch.enqueue(name)
            except StoreUnavailable:
                await asyncio.sleep(0.005)
            else:
                return
