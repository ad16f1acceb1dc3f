# ruff: noqa: D102 - the steps here are test data
"""Flows of every shape whose steps leave a line in a file, so that a test sees how often each was really done."""

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from crewai.flow.flow import Flow, and_, listen, or_, router, start
from pydantic import BaseModel


@dataclass(frozen=True)
class Finding:
    """What a step returns that JSON does not have."""

    text: str
    seen: datetime


class Notes(BaseModel):
    """The state of these Flows."""

    folder: str = "."
    log: list[str] = []
    marks: set[str] = set()
    finding: Finding | None = None
    drafts: int = 0


class Noted(Flow[Notes]):
    """What they have in common."""

    _skip_auto_memory = True

    def note(self, step: str, argument: object = None) -> None:
        """The side effect of a step: a line outside, and one in the state."""
        with (Path(self.state.folder) / "effects").open("a") as file:
            file.write(json.dumps([step, repr(argument)]) + "\n")
        self.state.log.append(step)


class Sequential(Noted):
    """One after the other, in threads and on the loop, with all kinds of values between them."""

    @start()
    def first(self) -> Finding:
        self.note("first")
        found = Finding("x", datetime(2026, 1, 1, tzinfo=UTC))
        self.state.finding = found
        return found

    @listen(first)
    async def second(self, found: Finding) -> tuple[Finding, set[int]]:
        self.note("second", found)
        await asyncio.sleep(0)
        return found, {1, 2}

    @listen(second)
    def third(self, pair: tuple[Finding, set[int]]) -> None:
        self.note("third", pair)
        self.state.marks.add("third")

    @listen(third)
    async def fourth(self, nothing: None) -> str:
        self.note("fourth", (nothing, self.state.finding))
        return f"{sorted(self.state.marks)} {self.state.log}"


class Routed(Noted):
    """Routers one after the other, and a branch that is not taken."""

    @start()
    async def sort(self) -> int:
        self.note("sort")
        return 7

    @router(sort)
    def choose(self, number: int) -> Literal["odd", "even"]:
        self.note("choose", number)
        return "odd" if number % 2 else "even"

    @router("odd")
    async def refine(self, label: str) -> Literal["small", "large"]:
        self.note("refine", label)
        return "small"

    @listen("even")
    def never(self) -> None:
        self.note("never")

    @listen("small")
    async def handle(self, label: str) -> dict[str, Any]:
        self.note("handle", label)
        return {"$": label, "log": list(self.state.log)}

    @listen(handle)
    def report(self, result: dict[str, Any]) -> dict[str, Any]:
        self.note("report", result)
        return result


class Joined(Noted):
    """Three starts side by side, one of them with a step of its own after it, and a join."""

    @start()
    async def left(self) -> str:
        await asyncio.sleep(0.002)
        self.note("left")
        return "l"

    @start()
    async def middle(self) -> str:
        self.note("middle")
        return "m"

    @start()
    def right(self) -> str:
        self.note("right")
        return "r"

    @listen(middle)
    async def after_middle(self, text: str) -> str:
        await asyncio.sleep(0.004)
        self.note("after_middle", text)
        return text * 2

    @listen(and_(left, after_middle, right))
    async def join(self) -> list[str]:
        self.note("join")
        return sorted(self.state.log)


class Either(Noted):
    """Whichever comes first; what comes later changes nothing."""

    @start()
    async def fast(self) -> str:
        self.note("fast")
        return "fast"

    @start()
    async def slow(self) -> str:
        await asyncio.sleep(0.004)
        self.note("slow")
        return "slow"

    @listen(or_(fast, slow))
    async def take(self, winner: str) -> str:
        await asyncio.sleep(0.008)
        self.note("take", winner)
        return winner

    @listen(take)
    def tell(self, winner: str) -> str:
        self.note("tell", winner)
        return winner


class Looped(Noted):
    """A loop with a gate: the same steps again, with other arguments."""

    @start("again")
    async def draft(self) -> int:
        self.state.drafts += 1
        self.note("draft", self.state.drafts)
        return int(self.state.drafts)

    @router(draft)
    def judge(self, number: int) -> Literal["again", "done"]:
        self.note("judge", number)
        return "done" if number == 3 else "again"

    @listen("done")
    async def publish(self) -> str:
        self.note("publish", self.state.drafts)
        return f"draft {self.state.drafts} of {self.state.log}"


class Crossed(Noted):
    """One method that two branches come to side by side, with an argument each."""

    @start()
    async def begin(self) -> None:
        self.note("begin")

    @router(begin)
    async def both(self) -> Literal["go"]:
        self.note("both")
        return "go"

    @listen("go")
    async def one(self) -> str:
        await asyncio.sleep(0.003)
        self.note("one")
        return "1"

    @listen("go")
    def two(self) -> str:
        self.note("two")
        return "2"

    @listen(one)
    async def after_one(self, text: str) -> str:
        self.note("after_one", text)
        self.state.marks.add(text)
        return text

    @listen(two)
    async def after_two(self, text: str) -> str:
        await asyncio.sleep(0.001)
        self.note("after_two", text)
        self.state.marks.add(text)
        return text

    @listen(and_(after_one, after_two))
    def end(self) -> list[str]:
        self.note("end")
        return sorted(self.state.marks)


class Gated(Noted):
    """The second step waits for a file."""

    @start()
    def one(self) -> str:
        self.note("one")
        return "1"

    @listen(one)
    async def two(self, text: str) -> str:
        self.note("two", text)
        while not (Path(self.state.folder) / "go").exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.002)
        return text * 2

    @listen(two)
    async def three(self, text: str) -> str:
        self.note("three", text)
        return text * 2


class Untyped(Flow[dict[str, Any]]):
    """A state that is a dictionary."""

    _skip_auto_memory = True

    @start()
    def begin(self) -> bytes:
        with (Path(self.state["folder"]) / "effects").open("a") as file:
            file.write(json.dumps(["begin", ""]) + "\n")
        self.state["when"] = datetime(2026, 1, 1, tzinfo=UTC)
        return b"raw"

    @listen(begin)
    async def finish(self, raw: bytes) -> str:
        with (Path(self.state["folder"]) / "effects").open("a") as file:
            file.write(json.dumps(["finish", repr(raw)]) + "\n")
        return f"{raw!r} {self.state['when']!r}"


FLOWS = {flow.__name__: flow for flow in (Sequential, Routed, Joined, Either, Looped, Crossed, Gated, Untyped)}
