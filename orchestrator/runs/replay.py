"""The kept steps of a run, as a fresh Flow goes through them again: each at its turn, in the order in which they ended.

A step that ended earlier had its listeners looked for earlier, which decides who wins an ``or_`` and with what
arguments. So a kept step waits until all that ended before it have passed, and a step that is not kept waits until
all kept ones have: only then the state is the one in which it begins.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from orchestrator.runs.run import Step

ASKED: Final = "?"
"""What is added to a method's name where its return value is kept, before the person who judges it was asked."""

PATIENCE_SECONDS: Final = 1.0
"""How long a kept step may hold up the others while nothing takes it: the Flow goes another way now."""

_CHANCES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One execution of a method: its number, a fingerprint of its arguments, and where what is kept of it stands."""

    method: str
    number: int
    arguments: str = ""
    asked: int | None = None
    done: int | None = None

    @property
    def key(self) -> str:
        """As ``Step.key``."""
        return f"{self.method}#{self.number}"


class Replay:
    """Goes through ``steps`` once. ``at_end`` is called when all have passed, before anything else begins."""

    def __init__(
        self, steps: Sequence[Step], *, at_end: Callable[[], None], patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self.steps = steps
        self._count = len(steps)
        self._at_end = at_end
        self._patience = patience_seconds
        self._passed: set[int] = set()
        self._taken: set[int] = set()
        self._turn = 0
        self._moved = asyncio.Event()
        self._numbers: dict[str, int] = {}
        self._kept: dict[str, dict[int, Execution]] = {}
        for position, step in enumerate(steps):
            self._enter(position, step)

    @property
    def over(self) -> bool:
        """Whether all kept steps have passed."""
        return self._turn == self._count

    def take(self, method: str, arguments: str) -> Execution:
        """The execution that begins now: the first kept one with these arguments, else the first kept, else a new."""
        kept = self._kept.get(method, {})
        fitting = [number for number, execution in kept.items() if execution.arguments == arguments]
        number = min(fitting or kept, default=0)
        if number:
            execution = kept.pop(number)
            self._taken |= {each for each in (execution.asked, execution.done) if each is not None}
            return execution
        self._numbers[method] = self._numbers.get(method, 0) + 1
        return Execution(method=method, number=self._numbers[method], arguments=arguments)

    async def turn(self, position: int) -> None:
        """Wait until all kept steps before ``position`` have passed."""
        while self._turn < position:
            await self._move()

    async def end(self) -> None:
        """Wait until all kept steps have passed."""
        while not self.over:
            await self._move()

    def passed(self, position: int) -> None:
        """The step at ``position`` has passed: whoever awaits what follows wakes up after the caller's next await."""
        self._passed.add(position)
        if self._turn not in self._passed:
            return
        while self._turn in self._passed:
            self._turn += 1
        if self.over:
            self._at_end()
            # Each holds a whole state, and nobody asks for one again.
            self.steps = ()
        self._moved.set()
        self._moved = asyncio.Event()

    def _enter(self, position: int, step: Step) -> None:
        method = step.method.removesuffix(ASKED)
        kept = self._kept.setdefault(method, {})
        known = kept.get(step.number) or Execution(method=method, number=step.number, arguments=step.arguments)
        kept[step.number] = replace(known, done=position) if step.method == method else replace(known, asked=position)
        self._numbers[method] = max(self._numbers.get(method, 0), step.number)

    async def _move(self) -> None:
        turn = self._turn
        try:
            async with asyncio.timeout(self._patience):
                await self._moved.wait()
        except TimeoutError:
            # A loop that stood still was not waiting: what is ready gets its chance first.
            for _ in range(_CHANCES):
                await asyncio.sleep(0)
            if self._turn == turn and turn not in self._taken:
                self.passed(turn)
