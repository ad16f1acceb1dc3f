"""All processes together, with doubles in their place: one tier map for all, and one after the other replaced."""

import asyncio
import io
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.checked_map import CheckedMap, MapRejected
from gateway.processes.crew import Assignments, Crew
from gateway.processes.member import Patience
from gateway.processes.seat import Seat
from gateway.processes.sockets import listening
from gateway.served import Outcome, Rejection, ServedMap
from gateway.settings import Settings
from gateway.store import open_store
from gateway.telemetry.log import Log
from gateway.telemetry.shared import Roster
from tests.acceptance.gateway_process import alive
from tests.doubles.clock import ManualClock
from tests.gateway.samples import tier_map, token_tier
from tests.stores import eventually

ROOT = Path(__file__).parents[3]
NOBODY = "redis://127.0.0.1:1/0"
FIRST = ServedMap(generation=1, hash="one", loaded_unix=1.0)
SECOND = ServedMap(generation=2, hash="two", loaded_unix=2.0)
OUTCOME = Outcome(result="unchanged", generation=1, hash="one")

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.processes.crew.KEEP_UP_SECONDS", 0.05)


def checked(text: bytes) -> CheckedMap:
    """A map that was checked."""
    return CheckedMap(tier_map=tier_map(token_tier()), text=text, known={})


class Trial:
    """A crew of two, its folder and its log."""

    def __init__(self, crew: Crew, assignments: Assignments, folder: Path, log: io.BytesIO) -> None:
        self.crew = crew
        self.assignments = assignments
        self._folder = folder
        self._log = log

    def told(self, number: int) -> list[Any]:
        """The orders that the processes with this number got."""
        file = self._folder / f"told-{number}"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def kinds(self) -> list[list[str]]:
        """Of the orders, for each number."""
        return [[order["type"] for order in self.told(number)] for number in (0, 1)]

    def events(self) -> list[dict[str, Any]]:
        """The log so far."""
        return [json.loads(line) for line in self._log.getvalue().splitlines()]

    def generations(self) -> list[int]:
        """Of the processes that serve."""
        return [seat.member.generation for seat in self.crew.seats if seat.member is not None]


async def unchanged() -> Outcome:
    """What a reload comes to."""
    return OUTCOME


@asynccontextmanager
async def trial(folder: Path, *behaviours: tuple[str, ...], patience: Patience | None = None) -> AsyncIterator[Trial]:
    """Two processes that behave so, each in its place; both have begun."""
    log, settings = io.BytesIO(), Settings(tiers_file=Path("tiers.yaml"), drain_seconds=1)
    async with open_store(NOBODY, data_directory=folder) as store:
        assignments = Assignments(
            settings, checked(b"one"), FIRST, folder=str(folder), store=store, url=NOBODY, admin="ab"
        )
        crew, lines = Crew(assignments, Log(log, ManualClock())), Log(log, ManualClock())
        roster = Roster(folder)
        with listening("127.0.0.1", 0, 2) as listeners:
            crew.seats = [
                Seat(
                    number,
                    listener,
                    partial(assignments.of, number, listener),
                    asked=crew.asked,
                    command=[sys.executable, str(ROOT / "tests/doubles/gateway_child.py"), *behaviours[number]],
                    roster=roster,
                    log=lines,
                    patience=patience or Patience(start=20, stop=20, order=20, backoff=(0.01,)),
                    drain_seconds=1,
                )
                for number, listener in enumerate(listeners)
            ]
            for seat in crew.seats:
                await seat.start()
            work = [asyncio.ensure_future(crew.run(unchanged)), *map(asyncio.ensure_future, _watches(crew))]
            try:
                yield Trial(crew, assignments, folder, log)
            finally:
                for task in work:
                    task.cancel()
                await asyncio.gather(*work, return_exceptions=True)
                hurry = asyncio.Event()
                hurry.set()
                await asyncio.gather(*(seat.stop(0, hurry) for seat in crew.seats))


def _watches(crew: Crew) -> list[Any]:
    return [seat.watch() for seat in crew.seats]


async def test_all_take_a_map_over_once_all_have_prepared_it(tmp_path: Path) -> None:
    """Whoever is started later begins with it."""
    async with trial(tmp_path, ("serve",), ("serve",)) as subject:
        await subject.crew.reject(Rejection(hash="bad", since_unix=1.0, problems=("it is",)))
        assert subject.assignments.rejected is not None
        await subject.crew.take_over(checked(b"two"), SECOND)
        assert subject.kinds() == [["note", "prepare", "swap"]] * 2
        assert subject.told(0)[0]["rejected"]["hash"] == "bad"
        assert subject.told(1)[1]["served"]["generation"] == 2
        assert subject.generations() == [2, 2]
        assert (subject.assignments.text, subject.assignments.served) == (b"two", SECOND)
        assert subject.assignments.rejected is None


async def test_if_one_cannot_none_does(tmp_path: Path) -> None:
    """What the others have prepared is forgotten."""
    async with trial(tmp_path, ("serve",), ("deny",)) as subject:
        with pytest.raises(MapRejected, match=r"^not that one$") as caught:
            await subject.crew.take_over(checked(b"two"), SECOND)
        assert caught.value.hash == checked(b"two").hash
        await eventually(lambda: subject.kinds() == [["prepare", "forget"]] * 2)
        assert subject.generations() == [1, 1]
        assert (subject.assignments.text, subject.assignments.served) == (b"one", FIRST)


async def test_one_that_does_not_answer_is_one_that_cannot(tmp_path: Path) -> None:
    """All would not serve the same."""
    patience = Patience(start=20, stop=20, order=0.3)
    async with trial(tmp_path, ("serve",), ("dumb",), patience=patience) as subject:
        with pytest.raises(MapRejected, match=r"process 1 did not answer within 0\.3 seconds"):
            await subject.crew.take_over(checked(b"two"), SECOND)
        assert subject.generations() == [1, 1]


async def test_one_that_dies_meanwhile_stops_nobody(tmp_path: Path) -> None:
    """Its successor begins with what is in service then, or is brought up to date."""
    async with trial(tmp_path, ("serve",), ("dumb", "serve")) as subject:
        dumb = subject.crew.seats[1].member
        assert dumb is not None
        taking = asyncio.ensure_future(subject.crew.take_over(checked(b"two"), SECOND))
        await eventually(lambda: subject.kinds() == [["prepare"]] * 2)
        os.kill(dumb.pid, signal.SIGKILL)
        await taking
        await eventually(lambda: subject.generations() == [2, 2])


async def test_one_that_began_with_an_old_map_gets_the_new_one(tmp_path: Path) -> None:
    """It was being started while the others changed."""
    async with trial(tmp_path, ("serve",), ("serve",)) as subject:
        await subject.crew.take_over(checked(b"two"), SECOND)
        late = subject.crew.seats[1].member
        assert late is not None
        late.generation = 1
        await eventually(lambda: late.generation == 2)
        assert subject.kinds()[1] == ["prepare", "swap"] * 2


async def test_who_asks_is_told(tmp_path: Path) -> None:
    """The one who asked, and only it."""
    async with trial(tmp_path, ("ask",), ("serve",)) as subject:
        await eventually(lambda: subject.kinds() == [["told"], []])
        assert subject.told(0)[0]["outcome"]["hash"] == "one"


async def test_one_after_the_other_is_replaced(tmp_path: Path) -> None:
    """Each by one that serves already; the log says when it is done."""
    async with trial(tmp_path, ("serve",), ("serve",)) as subject:
        before = [event["pid"] for event in subject.events() if event["event"] == "process.started"]
        await subject.crew.restart()
        events = [event["event"] for event in subject.events()][2:]
        assert events == [*["process.started", "process.replaced"] * 2, "gateway.restarted"]
        await eventually(lambda: not any(map(alive, before)))
        assert subject.kinds() == [["leave"]] * 2


async def test_a_restart_ends_where_a_new_process_cannot_begin(tmp_path: Path) -> None:
    """The others are not touched: a broken installation costs nothing."""
    async with trial(tmp_path, ("serve", "refuse"), ("serve",)) as subject:
        await subject.crew.restart()
        assert [event["event"] for event in subject.events()][2:] == ["process.start_failed"]
        assert subject.events()[-1]["error"] == "no, thank you"
        assert subject.kinds() == [[], []]


async def test_an_assignment_has_what_concerns_a_process(tmp_path: Path) -> None:
    """All but its number, its socket and its file are the same for all."""
    async with trial(tmp_path, ("serve",), ("serve",)) as subject:
        with listening("127.0.0.1", 0, 1) as [listener]:
            made = subject.assignments.of(7, listener, "7-1")
        assert (made.process, made.file, made.store_url, made.admin_digest) == (7, "7-1", NOBODY, "ab")
        assert (made.tiers, made.served, made.rejected) == (b"one", FIRST, None)
