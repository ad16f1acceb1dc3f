"""Ledgers whose time a test moves, on each kind of store."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.budget.memory import InMemoryLedger
from gateway.budget.valkey import ValkeyLedger
from tests.contract.ledgers import Subject
from tests.contract.moved import START, MovedCommands, set_time
from tests.stores import ManualClock, client_of, commands_of


@asynccontextmanager
async def timed_subject(socket: Path | None) -> AsyncIterator[Subject]:
    """On the store at ``socket``, or in memory; its time begins at ``START`` and only ``pass_time`` moves it."""
    clock = ManualClock(START)
    if socket is None:
        memory = InMemoryLedger(clock.unix)

        async def move(seconds: float) -> None:
            clock.now += seconds

        yield Subject(ledger=memory, other=memory, pass_time=move)
        return
    prefix = f"test-{uuid.uuid4().hex}"
    key = f"{{{prefix}}}:time"
    async with client_of(socket) as client, commands_of(socket) as one, commands_of(socket) as two:

        async def set_on(seconds: float) -> None:
            clock.now += seconds
            await set_time(client, key, clock.now)

        await set_on(0)
        ledgers = [
            ValkeyLedger(MovedCommands(commands, key), prefix=prefix, clock=clock.unix) for commands in (one, two)
        ]
        yield Subject(ledger=ledgers[0], other=ledgers[1], pass_time=set_on)
