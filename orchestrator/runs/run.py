"""What is kept of one run of a Flow. All of it is JSON: no code, no secret.

A run is ``queued`` until a worker owns it, ``running`` while one does, ``waiting`` while a person is asked, and then
ends: ``succeeded``, ``failed`` or ``cancelled``. A failed or cancelled one may be resumed: it is queued again, and goes
on after the last step that was kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum
from typing import Final

from pydantic import JsonValue

_MICRODOLLAR: Final = Decimal("0.000001")


class RunState(StrEnum):
    """Where a run is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether no worker has anything to do for it, unless somebody resumes it."""
        return self in {RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBounds:
    """What a run may take in all; ``None`` is no bound. The gateway enforces them: all calls of the run carry them.

    ``deadline_unix`` is a moment, in seconds: nothing of the run goes on after it.
    """

    usd_max: float | None = None
    calls_max: int | None = None
    deadline_unix: float | None = None

    def headers(self) -> dict[str, str]:
        """As the gateway reads them; money in whole microdollars, rounded down."""
        sent = {}
        if self.usd_max is not None:
            sent["x-tiergate-run-max-usd"] = str(Decimal(repr(self.usd_max)).quantize(_MICRODOLLAR, ROUND_FLOOR))
        if self.calls_max is not None:
            sent["x-tiergate-run-max-calls"] = str(self.calls_max)
        if self.deadline_unix is not None:
            sent["x-tiergate-run-deadline"] = f"{self.deadline_unix:.6f}"
        return sent


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run that somebody asks for.

    ``code`` is the fingerprint of the Flow's code that it begins with, ``idempotency_key`` the caller's name for the
    request ("" for none), ``request`` a fingerprint of what was asked with it: flow, inputs and bounds.
    """

    name: str
    flow: str
    inputs: Mapping[str, JsonValue]
    code: str
    bounds: RunBounds = field(default_factory=RunBounds)
    idempotency_key: str = ""
    request: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a person is asked by ``step`` (its key): ``message``, about its ``output``; ``outcomes`` are the routes."""

    step: str
    message: str
    output: JsonValue
    outcomes: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a run failed: what kind (``type``, as an exception's class), a sentence, and the step it happened in ("")."""

    type: str
    message: str
    step: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run as it is kept. Times are Unix seconds, 0 where the moment has not come.

    ``attempts`` counts how often a worker took it up, ``owner`` who does now (""), ``steps`` how many are kept.
    ``output`` and ``state`` are the Flow's, once it succeeded; ``problem`` is there once it failed, ``question`` while
    it waits; ``usage`` is what its record tells of time and money, by layer.
    """

    name: str
    flow: str
    state: RunState
    inputs: Mapping[str, JsonValue]
    code: str
    created_unix: float
    bounds: RunBounds = field(default_factory=RunBounds)
    started_unix: float = 0.0
    ended_unix: float = 0.0
    attempts: int = 0
    owner: str = ""
    steps: int = 0
    cancel_wanted: bool = False
    output: JsonValue = None
    final_state: Mapping[str, JsonValue] = field(default_factory=dict)
    problem: Problem | None = None
    question: Question | None = None
    usage: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One finished execution of a Flow's method: the ``number``-th of this ``method`` in the run, from 1.

    ``output`` and ``state`` are as ``orchestrator.runs.values`` writes them; the state is the one after the step.
    ``arguments`` is a fingerprint of what it was called with. A method that asks a person is kept twice: as
    ``method?`` when it has returned what the person is to judge, and as ``method`` once it was answered.
    """

    method: str
    number: int
    output: JsonValue
    state: JsonValue
    started_unix: float
    seconds: float
    arguments: str = ""

    @property
    def key(self) -> str:
        """Its name in the run."""
        return f"{self.method}#{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened in a run, in order: ``number`` counts from 1 without gaps, over all attempts.

    ``type`` is ``run.<state>``, which the store itself tells, ``step.started|finished|failed|retried|restored``,
    ``agent.started|finished``, ``tool.started|finished|failed``, ``call.started|finished|failed`` or ``token``.
    """

    number: int
    type: str
    unix: float
    data: Mapping[str, JsonValue]
