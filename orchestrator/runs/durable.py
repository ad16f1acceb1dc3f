"""A Flow whose steps are kept: each finished one, with the state after it, before the next begins.

CrewAI runs every step of a Flow, start, listener or router, through one method of the Flow. ``Durable`` stands in
front of that method in a single Flow object: its class, other Flows, and the Flows that CrewAI's agents are made of
stay as they are. A step that is kept already is passed with what it returned; CrewAI sees no difference.

The state is kept whole, after each step, in the order in which steps ended, without what steps that are still under
way have changed (``shared_state.py``).
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final, Protocol, cast

from crewai.flow.async_feedback import HumanFeedbackPending
from crewai.flow.flow import Flow
from crewai.flow.flow_definition import FlowHumanFeedbackDefinition
from pydantic import JsonValue

from orchestrator.cause import cause_line
from orchestrator.errors import ValueNotKept
from orchestrator.runs.feedback import answered, pending, question_for, seen
from orchestrator.runs.kept_secrets import KeptSecrets
from orchestrator.runs.leash import Leash
from orchestrator.runs.meter import Meter
from orchestrator.runs.nowhere import Nowhere
from orchestrator.runs.records import json_text
from orchestrator.runs.replay import ASKED, Execution, Replay
from orchestrator.runs.run import Question, Step
from orchestrator.runs.shared_state import SharedState
from orchestrator.runs.values import read, restored_state, written, written_state

STEP_BYTES_MAX: Final = 16_000_000
"""How large a kept step may be as JSON, its state included."""

_QUIET_TURNS = 50

_Original = Callable[..., Awaitable[Any]]
_Go = Callable[[Callable[..., Any]], Awaitable[Any]]


class Stopped(Exception):
    """The run may not go on, so this step does not begin."""


class Keep(Protocol):
    """Where steps and events go."""

    async def keep_step(self, step: Step) -> None:
        """Keep it before this returns. Raises ``OwnershipLost``."""

    def tell(self, type_: str, data: dict[str, JsonValue]) -> None:
        """Tell an event, in order; it is written soon. From any thread."""


class Durable:
    """One attempt at a run with one Flow object.

    Attributes:
        questions: What persons are to be asked, in the order in which steps came to it.
        failed: The step that failed first, by its key, with its error.
    """

    def __init__(
        self,
        *,
        steps: Sequence[Step],
        answers: Mapping[str, str],
        keep: Keep,
        leash: Leash,
        meter: Meter,
        unix: Callable[[], float],
        packages: Collection[str] = (),
        secrets: KeptSecrets | None = None,
    ) -> None:
        """Begin an attempt.

        Args:
            steps: What is kept of the run.
            answers: What persons said, by the key of the step that asked.
            keep: Takes new steps and events.
            leash: Keeps steps from beginning.
            meter: Gets the times.
            unix: The clock.
            packages: Top-level packages that kept values' classes may be imported from.
            secrets: What must not be kept.
        """
        self.questions: list[Question] = []
        self.failed: tuple[str, Exception] | None = None
        self._answers = answers
        self._keep = keep
        self._leash = leash
        self._meter = meter
        self._unix = unix
        self._packages = packages
        self._secrets = secrets or KeptSecrets()
        self._replay = Replay(steps, at_end=self._restore)
        self._where = "the state"
        self._shared = SharedState(lambda: written_state(self._flow.state, where=self._where))
        self._keeping = asyncio.Lock()
        self._open: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._suppressed = False
        self._execution: ContextVar[Execution] = ContextVar("tiergate_execution")
        self._results: dict[str, object] = {}

    def attach(self, flow: Flow[Any]) -> None:
        """Stand in front of the steps of ``flow``, which has not begun yet."""
        self._flow = flow
        self._execute: _Original = flow._execute_method  # noqa: SLF001 - the one place that every step passes
        self._ask: _Original = flow._run_human_feedback_step  # noqa: SLF001 - as above, for persons
        # Attributes of the object, which come before its class's methods.
        object.__setattr__(flow, "_execute_method", self._step)
        object.__setattr__(flow, "_run_human_feedback_step", self._feedback)
        flow._skip_persistence_restore = True  # noqa: SLF001 - a run's state comes from its own steps alone
        if flow.persistence is None:
            flow.persistence = Nowhere()
        self._suppressed = bool(flow.suppress_flow_events)
        if not self._replay.over:
            # Steps that are only passed did not happen now.
            flow.suppress_flow_events = True

    def close(self) -> None:
        """Let no further step begin."""
        self._closed = True

    def cancel(self) -> None:
        """Stop waiting for the steps that are open. What they do in threads goes on."""
        for task in self._open:
            task.cancel()

    async def settled(self, *, cancel: bool = False) -> None:
        """Wait until no step is open, nor begins one after the other; ``cancel`` those that are."""
        while True:
            if cancel:
                self.cancel()
            if self._open:
                await asyncio.wait(self._open)
            for _ in range(_QUIET_TURNS):
                await asyncio.sleep(0)
            if not self._open:
                return

    async def _step(self, name: str, method: Callable[..., Any], *arguments: object, **named: object) -> object:
        """In place of ``Flow._execute_method``, with its result: what the step returned, and an event's id."""
        execution = self._replay.take(str(name), self._digest(arguments, named))
        self._execution.set(execution)

        def go(method: Callable[..., Any]) -> Awaitable[Any]:
            return self._execute(name, method, *arguments, **named)

        if execution.asked is not None:
            method = self._memo(execution.asked)
            await self._pass(execution.asked)
        if execution.done is not None:
            return await self._passed(execution, execution.done, go)
        await self._replay.end()
        if self._closed or self._leash.pulled:
            raise Stopped(f"step {execution.key} does not begin: {self._leash.pulled or 'the attempt is over'}")
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._open.add(task)
        try:
            return await self._live(execution, go, method)
        finally:
            self._open.discard(task)

    async def _passed(self, execution: Execution, position: int, go: _Go) -> object:
        """Pass a step that is kept: CrewAI gets what it returned, at its turn."""
        try:
            await self._replay.turn(position)
            result = await go(self._memo(position if execution.asked is None else execution.asked))
        finally:
            self._replay.passed(position)
        self._meter.add(steps_restored=1)
        self._keep.tell("step.restored", {"step": execution.method, "number": execution.number})
        return result

    async def _live(self, execution: Execution, go: _Go, method: Callable[..., Any]) -> object:
        clock = asyncio.get_running_loop().time
        started, begin = self._unix(), clock()
        told: dict[str, JsonValue] = {"step": execution.method, "number": execution.number}
        self._keep.tell("step.started", told)
        self._where = f"step {execution.key} of {type(self._flow).__name__}: state"
        try:
            self._shared.opened(execution.key, blocking=not asyncio.iscoroutinefunction(method))
            result = await go(self._meter.metered(method, _Turns(self._shared, execution.key), step=execution.method))
            output = self._results.pop(execution.key, result[0])
            await self._kept(execution, execution.method, output, started_unix=started, seconds=clock() - begin)
        except HumanFeedbackPending:
            self._shared.failed(execution.key)
            raise
        except asyncio.CancelledError:
            self._shared.abandoned(execution.key)
            raise
        except Exception as error:
            self._shared.failed(execution.key)
            self.failed = self.failed or (execution.key, error)
            cause = self._secrets.without(cause_line(error))
            self._keep.tell("step.failed", {**told, "seconds": round(clock() - begin, 6), "cause": cause})
            raise
        self._meter.add(execution.method, steps=1, step_seconds=clock() - begin)
        self._keep.tell("step.finished", {**told, "seconds": round(clock() - begin, 6)})
        return result

    async def _kept(
        self, execution: Execution, method: str, output: object, *, started_unix: float, seconds: float
    ) -> None:
        """Keep a step. One at a time, so that steps go on from here in the order in which they are kept."""
        async with self._keeping:
            where = f"step {execution.key} of {type(self._flow).__name__}:"
            self._where = f"{where} state"
            step = Step(
                method=method,
                number=execution.number,
                output=written(output, where=f"{where} output"),
                state=self._shared.after(execution.key),
                started_unix=started_unix,
                seconds=round(seconds, 6),
                arguments=execution.arguments,
            )
            self._secrets.refuse(step.output, where=f"{where} output")
            self._secrets.refuse(step.state, where=f"{where} state")
            size = len(json_text([step.output, step.state]))
            if size > STEP_BYTES_MAX:
                raise ValueNotKept(
                    f"{where} its output and state are {size} characters of JSON, and {STEP_BYTES_MAX} are kept at "
                    "most: keep large things elsewhere, and their addresses in the state."
                )
            await self._keep.keep_step(step)

    async def _feedback(self, name: str, definition: FlowHumanFeedbackDefinition, output: object) -> object:
        """In place of ``Flow._run_human_feedback_step``: the person is asked by the run, which waits meanwhile."""
        execution = self._execution.get()
        if execution.done is not None:
            kept = read(self._replay.steps[execution.done].output, packages=self._packages)
            return seen(self._flow, name, definition, kept)
        if execution.asked is None:
            await self._kept(execution, f"{name}{ASKED}", output, started_unix=self._unix(), seconds=0.0)
            self._shared.opened(execution.key, blocking=False)
        if execution.key in self._answers:
            result = await answered(self._flow, name, definition, output, self._answers[execution.key])
        else:
            await self._let_provider(execution, name, definition, output)
            result = self._flow.human_feedback_history[-1]
        self._results[execution.key] = result
        return seen(self._flow, name, definition, result, known=True)

    async def _let_provider(
        self, execution: Execution, name: str, definition: FlowHumanFeedbackDefinition, output: object
    ) -> None:
        """Have the Flow's own provider ask, if it has one; where it leaves the answer for later, the run waits."""
        provider = self._flow._resolve_feedback_provider(definition)  # noqa: SLF001 - as CrewAI does
        try:
            if provider is None:
                raise pending(self._flow, name, definition, output)
            await self._ask(name, definition, output)
        except HumanFeedbackPending:
            question = question_for(execution.key, definition, output)
            self._secrets.refuse(question.output, where=f"step {execution.key}: what is asked about")
            self.questions.append(question)
            raise

    async def _pass(self, position: int) -> None:
        try:
            await self._replay.turn(position)
        finally:
            self._replay.passed(position)

    def _memo(self, position: int) -> Callable[..., Awaitable[object]]:
        """A method that returns what is kept."""
        output = self._replay.steps[position].output

        async def kept(*_arguments: object, **_named: object) -> object:
            return read(output, packages=self._packages)

        return kept

    def _restore(self) -> None:
        """All that is kept has passed: the state is the one after the last step."""
        flow = self._flow
        flow._state = restored_state(flow.state, self._replay.steps[-1].state, packages=self._packages)  # noqa: SLF001
        flow.suppress_flow_events = self._suppressed

    @staticmethod
    def _digest(arguments: tuple[object, ...], named: dict[str, object]) -> str:
        if not arguments and not named:
            return ""
        try:
            text = json_text(written([list(arguments), named], where="arguments"))
        except ValueNotKept:
            return ""
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class _Turns:
    """Tells of one step's turns: fulfils ``meter.Watch``."""

    def __init__(self, shared: SharedState, step: str) -> None:
        self._shared = shared
        self._step = step

    def before_turn(self) -> None:
        self._shared.before_turn()

    def after_turn(self) -> None:
        self._shared.after_turn(self._step)
