"""Real stores for tests, each a process of its own on a unix socket, and a clock that tests move."""

import asyncio
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from redis.asyncio import BlockingConnectionPool, Redis

from gateway.store.address import Address
from gateway.store.multiplexed import Multiplexed

BOUND_SECONDS = 10.0
"""How long a test waits for a condition before it fails."""


class ManualClock:
    """Unix seconds that only a test moves."""

    def __init__(self, unix: float = 1_800_000_000.0) -> None:
        self.now = unix

    def unix(self) -> float:
        """As ``gateway.exchange.Clock`` asks."""
        return self.now

    def monotonic(self) -> float:
        """The same number: it only ever goes forward in a test."""
        return self.now


@asynccontextmanager
async def client_of(socket: Path) -> AsyncIterator[Redis]:
    """A client as ``gateway.store`` makes one."""
    client = Redis.from_pool(BlockingConnectionPool.from_url(f"unix://{socket}", max_connections=32, protocol=2))
    try:
        yield client
    finally:
        await client.aclose()


@asynccontextmanager
async def commands_of(socket: Path) -> AsyncIterator[Multiplexed]:
    """The commands' connection as ``gateway.store`` makes one."""
    commands = Multiplexed(Address(path=str(socket)))
    try:
        yield commands
    finally:
        await commands.aclose()


@contextmanager
def redis_server() -> Iterator[Path]:
    """Debian's redis-server; yields its socket."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        path = Path(folder) / "redis.sock"
        binary = shutil.which("redis-server")
        assert binary
        command = [binary, "--port", "0", "--unixsocket", str(path), "--dir", folder, "--save", ""]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            _wait_for(path)
            yield path
        finally:
            process.terminate()
            process.wait(BOUND_SECONDS)


async def eventually(condition: Callable[[], Awaitable[bool] | bool], bound_seconds: float = BOUND_SECONDS) -> None:
    """Wait until ``condition`` holds; fail after the bound."""

    async def holds() -> bool:
        answer = condition()
        return answer if isinstance(answer, bool) else await answer

    async with asyncio.timeout(bound_seconds):
        # What tests wait for is in other processes, which set no events.
        while not await holds():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.005)


async def pass_store_time(client: Redis, seconds: float) -> None:
    """Wait until the store's own clock has moved on by ``seconds``."""
    start = await _store_time(client)

    async def passed() -> bool:
        return await _store_time(client) >= start + seconds

    await eventually(passed, BOUND_SECONDS + seconds)


async def _store_time(client: Redis) -> float:
    seconds, microseconds = await client.time()
    return int(seconds) + int(microseconds) / 1_000_000


def _wait_for(path: Path) -> None:
    """Until it is listened at: the file is there a moment earlier."""
    give_up = time.monotonic() + BOUND_SECONDS
    while not _listens(path):
        assert time.monotonic() < give_up, "redis-server did not start"
        time.sleep(0.005)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as asking:
        return asking.connect_ex(str(path)) == 0
