"""A real store for keys."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.store.multiplexed import Multiplexed
from tests.stores import commands_of, redis_server


@pytest.fixture(scope="session")
def server() -> Iterator[Path]:
    with redis_server() as socket:
        yield socket


@pytest.fixture
async def commands(server: Path) -> AsyncIterator[Multiplexed]:
    async with commands_of(server) as opened:
        await opened.execute("FLUSHALL")
        yield opened
