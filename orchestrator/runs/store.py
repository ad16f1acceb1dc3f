"""What a store of runs promises: Redis for several workers, a directory for one.

A worker writes a run only while it owns it. Owning is a lease with a number (a fence) that grows each time the run
changes hands: whoever fell asleep with an old number cannot write, even if it never noticed that its lease ran out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import JsonValue

from orchestrator.runs.run import Event, NewRun, Problem, Question, Run, RunState, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """The right to write the run ``name``: ``fence`` is what each write shows."""

    name: str
    owner: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run ended: ``state`` is an ended one."""

    state: RunState
    output: JsonValue = None
    final_state: dict[str, JsonValue] | None = None
    problem: Problem | None = None
    usage: dict[str, JsonValue] | None = None


class RunStore(Protocol):
    """Keeps runs. What a method wrote is safe from the end of the process when it returns.

    Each change of a run's state is an event of its own, ``run.<state>``, which the store tells with the change.
    Each method raises ``orchestrator.errors.StoreUnavailable`` where the store does not answer.
    """

    async def add(self, new: NewRun) -> tuple[Run, bool]:
        """Keep a queued run and say whether it is new: the same idempotency key and request give the run they made.

        Raises:
            RunConflict: The name is taken, or the key was used with another request.
        """

    async def run(self, name: str) -> Run | None:
        """The run, ``None`` where there is none of that name."""

    async def runs(
        self, *, flow: str = "", states: Sequence[RunState] = (), before_unix: float = 0.0, limit: int = 50
    ) -> Sequence[Run]:
        """The newest runs first; only those of a Flow, in certain states, made before a moment."""

    async def own(self, name: str, *, owner: str, lease_seconds: float) -> Ownership | None:
        """Take the run up: it is running now. ``None`` while another owns it, where it ended or waits for a person."""

    async def renew(self, ownership: Ownership, *, lease_seconds: float) -> bool:
        """Keep owning it; whether somebody wants it cancelled.

        Raises:
            OwnershipLost: Another owner took it, or it ended.
        """

    async def let_go(self, ownership: Ownership) -> None:
        """Put it back into the queue, for any worker; nothing where it is not owned any more.

        It is cancelled instead where somebody wants that.
        """

    async def steps(self, name: str) -> Sequence[Step]:
        """The steps that are kept, in the order in which they were."""

    async def keep_step(self, ownership: Ownership, step: Step) -> None:
        """Keep a finished step. Raises ``OwnershipLost``; a step that is kept already is not kept twice."""

    async def tell(self, ownership: Ownership, type_: str, data: dict[str, JsonValue]) -> None:
        """Add an event, numbered and dated by the store. Raises ``OwnershipLost``."""

    async def events(self, name: str, *, after: int = 0, wait_seconds: float = 0.0) -> Sequence[Event]:
        """The events after a number; where there is none yet, waits for one for so long."""

    async def ask(self, ownership: Ownership, question: Question) -> None:
        """Have it wait for a person, and own it no longer; it is cancelled instead where somebody wants that.

        Raises:
            OwnershipLost: Another owner took it, or it ended.
        """

    async def answer(self, name: str, feedback: str) -> bool:
        """What the person said: the run is queued again. ``False`` where it waits for nobody."""

    async def feedback(self, name: str) -> Mapping[str, str]:
        """All that persons said in this run, by the key of the step that asked them."""

    async def end(self, ownership: Ownership, ending: Ending) -> None:
        """Let it end. Raises ``OwnershipLost``."""

    async def cancel(self, name: str) -> bool:
        """Have it cancelled: at once where nobody owns it, else its owner hears of it when it renews.

        ``False`` where it ended already.
        """

    async def resume(self, name: str, *, code: str = "") -> bool:
        """Queue a failed or cancelled run again, from now on with the code of that fingerprint, if one is given.

        ``False`` where it neither failed nor was cancelled.
        """

    async def lapsed(self) -> Sequence[str]:
        """Names of running runs whose owner's lease ran out: any worker may take them up."""

    async def forget(self, *, before_unix: float) -> int:
        """Forget runs that ended before a moment, with their steps and events; how many."""
