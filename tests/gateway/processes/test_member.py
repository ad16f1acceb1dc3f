"""One process that was started, with a double in place of the gateway; its beginning and end: ``test_seat.py``."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from gateway.processes.assignment import Leave, Note, Prepare, Swap, Told, Word
from gateway.processes.member import Member, Patience, ProcessFailed
from gateway.served import Outcome
from tests.gateway.processes.test_assignment import ASSIGNMENT
from tests.stores import eventually

ROOT = Path(__file__).parents[3]
PATIENCE = Patience(start=20, stop=20, order=20)
PREPARE = Prepare(tiers=b"x", served=ASSIGNMENT.served)

pytestmark = pytest.mark.integration


@asynccontextmanager
async def member(
    folder: Path, behaviour: str, patience: Patience = PATIENCE, asked: list[Member] | None = None
) -> AsyncIterator[Member]:
    """A process that serves, and is ended."""
    command = [sys.executable, str(ROOT / "tests/doubles/gateway_child.py"), behaviour]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        subject = await Member.started(1, command, listener.fileno(), file="1-1", patience=patience)
        assignment = msgspec.structs.replace(ASSIGNMENT, folder=str(folder), listener=listener.fileno())
        try:
            await subject.begin(assignment, ([] if asked is None else asked).append)
            yield subject
        finally:
            await subject.kill()


def told(folder: Path) -> list[str]:
    """The orders that it got."""
    file = folder / "told-1"
    return [json.loads(line)["type"] for line in file.read_text().splitlines()] if file.exists() else []


async def test_orders_are_answered_one_after_the_other(tmp_path: Path) -> None:
    """It serves the generation of its assignment."""
    async with member(tmp_path, "serve") as subject:
        assert subject.generation == ASSIGNMENT.served.generation
        words = await asyncio.gather(*(subject.ask(order) for order in (PREPARE, Swap())))
        assert words == [Word(), Word()]
        subject.tell(Note(rejected=None))
        assert await subject.ask(Swap()) == Word()
        assert told(tmp_path) == ["prepare", "swap", "note", "swap"]


async def test_an_error_is_an_answer(tmp_path: Path) -> None:
    """In its own words."""
    async with member(tmp_path, "deny") as subject:
        assert await subject.ask(PREPARE) == Word(error="not that one")
        assert await subject.ask(Swap()) == Word()


async def test_what_it_asks_is_heard(tmp_path: Path) -> None:
    """Also while an answer is waited for."""
    asked: list[Member] = []
    async with member(tmp_path, "ask", asked=asked) as subject:
        assert await subject.ask(Swap()) == Word()
        await eventually(lambda: asked == [subject])
        subject.tell(Told(outcome=Outcome(result="unchanged", generation=1, hash="")))
        await eventually(lambda: told(tmp_path) == ["swap", "told"])


async def test_one_that_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    """Longer than patience lasts."""
    async with member(tmp_path, "dumb", Patience(order=0.2)) as subject:
        with pytest.raises(ProcessFailed, match=r"^process 1 did not answer within 0\.2 seconds$"):
            await subject.ask(PREPARE)


async def test_one_that_has_ended_does_not_answer(tmp_path: Path) -> None:
    """Neither what was asked before nor what is asked after."""
    async with member(tmp_path, "dumb") as subject:
        asking = asyncio.ensure_future(subject.ask(PREPARE))
        await eventually(lambda: told(tmp_path) == ["prepare"])
        os.kill(subject.pid, signal.SIGKILL)
        with pytest.raises(ProcessFailed, match=r"^process 1 has ended$"):
            await asking
        assert await subject.wait() == -signal.SIGKILL
        subject.tell(Leave())
        with pytest.raises(ProcessFailed, match=r"^process 1 has ended$"):
            await subject.ask(Swap())


async def test_it_is_seen_off(tmp_path: Path) -> None:
    """By itself where it leaves in time; told at once where somebody is in a hurry."""
    async with member(tmp_path, "serve") as subject:
        subject.tell(Leave())
        await subject.see_off(20, asyncio.Event())
        assert subject.returncode == 0
    async with member(tmp_path, "serve") as subject:
        hurry = asyncio.Event()
        hurry.set()
        await subject.see_off(600, hurry)
        assert subject.returncode == 0
    async with member(tmp_path, "deaf", Patience(stop=0.2)) as subject:
        await subject.see_off(0.1, asyncio.Event())
        assert subject.returncode == -signal.SIGKILL
