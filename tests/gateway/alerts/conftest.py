"""A Valkey for the tests of this folder, with a prefix of keys that no other test uses."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.store.embedded import embedded_valkey
from gateway.store.multiplexed import Multiplexed
from tests.stores import commands_of


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def valkey(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    async with embedded_valkey(tmp_path_factory.mktemp("valkey")) as socket:
        yield socket


@pytest.fixture
async def commands(valkey: Path) -> AsyncIterator[Multiplexed]:
    async with commands_of(valkey) as commands:
        yield commands


@pytest.fixture
def prefix() -> str:
    return f"test-{uuid.uuid4().hex}"
