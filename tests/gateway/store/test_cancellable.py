"""A task that is cancelled while redis-py sends its command ends, whichever moment it is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from redis.asyncio import ConnectionPool, Redis

from gateway.store.cancellable import make_cancellable

TURNS = 40


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server that answers every PING, and what else connections begin with."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if line.strip().upper() == b"PING":
                writer.write(b"+PONG\r\n")
            elif line.strip().upper() == b"CLIENT":
                writer.write(b"+OK\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_no_cancellation_is_lost(port: int) -> None:
    """In each turn of the event loop from the command's begin to its answer."""
    pool = ConnectionPool.from_url(f"redis://127.0.0.1:{port}", protocol=2, socket_timeout=5.0)
    make_cancellable(pool)
    answered = set[bool]()
    async with Redis.from_pool(pool) as client:
        for turns in range(TURNS):
            await client.ping()
            pinging = asyncio.ensure_future(client.ping())
            for _ in range(turns):
                await asyncio.sleep(0)
            answered.add(pinging.done())
            cancelled = pinging.cancel()
            with suppress(asyncio.CancelledError):
                await pinging
            assert pinging.cancelled() == cancelled, f"after {turns} turns"
        assert answered == {False, True}
