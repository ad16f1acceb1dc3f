# ruff: noqa: D101, D102 - the Flows here are test data
"""A step that fails for a while is tried again as if it had not begun; one that fails for good ends the run."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crewai.flow.flow import Flow, and_, listen, start
from pydantic import BaseModel

from tests.orchestrator.runs.desk import desk_in

WORLD: Counter[str] = Counter()
"""What steps did outside of their Flow."""


@pytest.fixture(autouse=True)
def _fresh_world() -> None:
    WORLD.clear()


class Shelf(BaseModel):
    items: list[str] = []
    note: float = 0.0


class Unsteady(Flow[Shelf]):
    """Its second step changes the state, fails twice, and then does not."""

    _skip_auto_memory = True

    @start()
    async def first(self) -> str:
        WORLD["first"] += 1
        self.state.items.append("first")
        return "1"

    @listen(first)
    async def second(self, text: str) -> str:
        WORLD["second"] += 1
        self.state.items.append(f"second, given {text}")
        if WORLD["second"] < 3:
            raise ConnectionError("not yet")
        return text * 2

    @listen(second)
    async def third(self, text: str) -> str:
        return text * 2


class Branches(Flow[Shelf]):
    """One branch fails at first while the other works, and goes on."""

    _skip_auto_memory = True

    @start()
    async def failing(self) -> None:
        WORLD["failing"] += 1
        if WORLD["failing"] == 1:
            raise ConnectionError("not yet")

    @start()
    async def working(self) -> str:
        WORLD["working"] += 1
        await asyncio.sleep(0.03)
        WORLD["worked"] += 1
        return "done"

    @listen(working)
    async def after(self, text: str) -> str:
        WORLD["after"] += 1
        WORLD["failing, when the other went on"] = WORLD["failing"]
        return text

    @listen(and_(failing, after))
    async def join(self) -> float:
        return float("nan")


class Hopeless(Flow[Shelf]):
    """One branch fails for good while another would go on for long."""

    _skip_auto_memory = True

    @start()
    async def failing(self) -> None:
        await asyncio.sleep(0.005)
        raise ValueError("never")

    @start()
    async def working(self) -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            WORLD["stopped"] += 1
            raise

    @listen(working)
    async def after(self) -> None:
        WORLD["after"] += 1


class Unreturnable(Flow[Shelf]):
    _skip_auto_memory = True

    @start()
    async def make(self) -> object:
        return object()


class Delays:
    """Waits nothing before the next two tries, and remembers what it was asked."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.asked: list[tuple[str, int]] = []
        self._seconds = seconds

    def __call__(self, error: BaseException, attempt: int, *, random: Callable[[], float]) -> float | None:
        del random
        self.asked.append((str(error), attempt))
        return self._seconds if isinstance(error, ConnectionError) and attempt < 3 else None


async def test_a_step_that_is_tried_again_finds_the_state_as_if_it_had_not_begun(tmp_path: Path) -> None:
    delays = Delays()
    async with desk_in(tmp_path, Unsteady, delay=delays) as desk:
        run = await desk.run("Unsteady")
        assert (run.state, run.output) == ("succeeded", "1111")
        assert run.final_state["items"] == ["first", "second, given 1"]
        assert (WORLD["first"], WORLD["second"]) == (1, 3)
        assert delays.asked == [("not yet", 1), ("not yet", 2)]
        assert run.usage["retries"] == 2
        retried = [data for type_, data in await desk.told() if type_ == "step.retried"]
        assert retried == [{"step": "second", "number": 1, "attempt": n, "seconds": 0.0} for n in (1, 2)]


async def test_what_fails_as_often_as_it_may_ends_the_run(tmp_path: Path) -> None:
    WORLD["second"] = -10
    async with desk_in(tmp_path, Unsteady, delay=Delays()) as desk:
        run = await desk.run("Unsteady")
        assert run.problem is not None
        assert (run.state, run.problem.type, run.problem.step) == ("failed", "ConnectionError", "second#1")
        assert WORLD["second"] == -7


async def test_other_branches_finish_their_step_before_the_next_try(tmp_path: Path) -> None:
    async with desk_in(tmp_path, Branches, delay=Delays()) as desk:
        run = await desk.run("Branches")
        assert run.state == "succeeded"
        assert run.output is None, "what is not a number is not in JSON"
        assert WORLD == {"failing": 2, "working": 1, "worked": 1, "after": 1, "failing, when the other went on": 2}


async def test_what_fails_for_good_stops_the_other_branches(tmp_path: Path) -> None:
    async with desk_in(tmp_path, Hopeless, delay=Delays()) as desk:
        run = await desk.run("Hopeless")
        assert run.problem is not None
        assert (run.state, run.problem.step) == ("failed", "failing#1")
        assert WORLD == {"stopped": 1}


async def test_nothing_is_tried_again_after_the_deadline(tmp_path: Path) -> None:
    async with desk_in(tmp_path, Unsteady, delay=Delays(seconds=60)) as desk:
        run = await desk.run("Unsteady", deadline_unix=desk.clock.now + 59)
        assert run.problem is not None
        assert (run.problem.type, WORLD["second"]) == ("ConnectionError", 1)


async def test_a_run_ends_at_its_deadline(tmp_path: Path) -> None:
    async with desk_in(tmp_path, Hopeless, delay=Delays()) as desk:
        run = await desk.run("Hopeless", deadline_unix=desk.clock.now + 0.001)
        assert run.problem is not None
        assert (run.state, run.problem.type, run.problem.step) == ("failed", "DeadlinePassed", "")
        assert WORLD["after"] == 0


class Endless(Flow[Shelf]):
    """One branch fails at first while another has no end."""

    _skip_auto_memory = True

    @start()
    async def failing(self) -> None:
        WORLD["failing"] += 1
        if WORLD["failing"] == 1:
            raise ConnectionError("not yet")

    @start()
    async def endless(self) -> None:
        WORLD["endless"] += 1
        await asyncio.sleep(30)


async def test_a_branch_without_an_end_holds_up_the_next_try_until_the_deadline_only(tmp_path: Path) -> None:
    async with desk_in(tmp_path, Endless, delay=Delays()) as desk:
        run = await desk.run("Endless", deadline_unix=desk.clock.now + 0.2)
        assert run.problem is not None
        assert (run.state, run.problem.type) == ("failed", "DeadlinePassed")


async def test_a_step_whose_output_cannot_be_kept_ends_the_run_with_its_name(tmp_path: Path) -> None:
    async with desk_in(tmp_path, Unreturnable) as desk:
        run = await desk.run("Unreturnable")
        assert run.problem is not None
        assert (run.problem.type, run.problem.step) == ("ValueNotKept", "make#1")
        assert "step make#1 of Unreturnable: output is a builtins.object" in run.problem.message


SECRETS: dict[str, Any] = {"key": "canary-key-of-the-gateway"}


class Leaks(Flow[Shelf]):
    _skip_auto_memory = True

    @start()
    async def leak(self) -> None:
        self.state.items.append(f"Bearer {SECRETS['key']}")


async def test_no_secret_is_ever_kept(tmp_path: Path) -> None:
    async with desk_in(tmp_path, Leaks) as desk:
        run = await desk.run("Leaks")
        assert run.problem is not None
        assert (run.problem.type, run.steps) == ("ValueNotKept", 0)
        assert "state.items[0] holds the gateway's key" in run.problem.message
    for file in tmp_path.rglob("*"):  # noqa: ASYNC240 - a few files
        assert not file.is_file() or SECRETS["key"].encode() not in file.read_bytes()
