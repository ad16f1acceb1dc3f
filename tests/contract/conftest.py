"""The stores under the ledger's contract: memory, the embedded Valkey, and redis-server where installed."""

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.budget.memory import InMemoryLedger
from gateway.budget.valkey import ValkeyLedger
from gateway.clock import SystemClock
from gateway.store.embedded import embedded_valkey
from tests.contract.ledgers import Subject
from tests.contract.subjects import timed_subject
from tests.stores import ManualClock, client_of, commands_of, pass_store_time, redis_server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def valkey(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    async with embedded_valkey(tmp_path_factory.mktemp("valkey")) as socket:
        yield socket


@pytest.fixture(scope="session")
def redis() -> Iterator[Path]:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed (apt-get install redis-server)")
    with redis_server() as socket:
        yield socket


@pytest.fixture(params=["memory", "valkey", "redis"])
def socket(request: pytest.FixtureRequest) -> Path | None:
    if request.param == "memory":
        return None
    server: Path = request.getfixturevalue(request.param)
    return server


@pytest_asyncio.fixture
async def subject(socket: Path | None) -> AsyncIterator[Subject]:
    if socket is None:
        clock = ManualClock()
        memory = InMemoryLedger(clock.unix)

        async def move(seconds: float) -> None:
            clock.now += seconds
            await asyncio.sleep(0)

        yield Subject(ledger=memory, other=memory, pass_time=move)
        return
    prefix = f"test-{uuid.uuid4().hex}"
    async with client_of(socket) as client, commands_of(socket) as one, commands_of(socket) as two:
        ledger, other = (
            ValkeyLedger(one, prefix=prefix, clock=SystemClock().unix),
            ValkeyLedger(two, prefix=prefix, clock=SystemClock().unix),
        )

        async def wait(seconds: float) -> None:
            await pass_store_time(client, seconds)

        yield Subject(ledger=ledger, other=other, pass_time=wait)


@pytest_asyncio.fixture
async def timed(socket: Path | None) -> AsyncIterator[Subject]:
    """A store whose time only the test moves."""
    async with timed_subject(socket) as moved:
        yield moved
