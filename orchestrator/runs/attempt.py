"""A run's attempts: a fresh Flow each time, which passes what is kept and goes on from there.

A step that fails for a reason that passes begins again in a fresh Flow, whose state is as if the step had not begun.
What other branches are doing meanwhile is finished and kept first.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from crewai.events.stream_context import add_stream_sink
from pydantic import JsonValue
from pydantic_core import to_json

from orchestrator.cause import cause_line
from orchestrator.flow import FlowClass, finished, make_flow, plain, state_of
from orchestrator.identity import running
from orchestrator.inputs import check_inputs
from orchestrator.one_retry_layer import retried_by_step
from orchestrator.runs.durable import Durable
from orchestrator.runs.feed import Feed
from orchestrator.runs.fingerprint import packages_of
from orchestrator.runs.kept_secrets import KeptSecrets
from orchestrator.runs.leash import Leash, on_leash
from orchestrator.runs.meter import Meter
from orchestrator.runs.run import Problem, Question, Run, RunState, Step
from orchestrator.runs.store import Ending


class DeadlinePassed(Exception):
    """The run did not end within its deadline."""


class Delay(Protocol):
    """As ``orchestrator.retries.delay``."""

    def __call__(self, error: BaseException, attempt: int, *, random: Callable[[], float]) -> float | None:
        """Seconds until the step begins again, ``None`` where that is pointless."""


class Keeper(Protocol):
    """The run in its store, as its owner sees it. Each may raise ``OwnershipLost``."""

    async def steps(self) -> Sequence[Step]:
        """What is kept."""

    async def feedback(self) -> Mapping[str, str]:
        """What persons said."""

    async def keep_step(self, step: Step) -> None:
        """Keep it before this returns."""

    def tell(self, type_: str, data: dict[str, JsonValue]) -> None:
        """Tell an event, in order."""


class Attempts:
    """All attempts that one worker makes at a run."""

    def __init__(
        self,
        *,
        run: Run,
        flow_class: FlowClass,
        keeper: Keeper,
        feed: Feed,
        leash: Leash,
        meter: Meter,
        unix: Callable[[], float],
        delay: Delay,
        random: Callable[[], float],
        secrets: KeptSecrets,
    ) -> None:
        self._run = run
        self._class = flow_class
        self._keeper = keeper
        self._feed = feed
        self._leash = leash
        self._meter = meter
        self._unix = unix
        self._delay = delay
        self._random = random
        self._secrets = secrets
        self._failures: Counter[str] = Counter()

    async def to_end(self) -> Ending | Question:
        """Try until the run ends, or a person is to be asked. To be run in a task of its own, for its context."""
        with running(self._run.name, self._run.bounds.headers()), on_leash(self._leash), retried_by_step():
            add_stream_sink(self._feed)
            while True:
                outcome = await self._once()
                if not isinstance(outcome, float):
                    return outcome
                await asyncio.sleep(outcome)

    async def _once(self) -> Ending | Question | float:
        """One attempt: how it ended, what is to be asked, or after how many seconds to try again."""
        durable = Durable(
            steps=await self._keeper.steps(),
            answers=await self._keeper.feedback(),
            keep=self._keeper,
            leash=self._leash,
            meter=self._meter,
            unix=self._unix,
            packages=packages_of(self._class),
            secrets=self._secrets,
        )
        try:
            return await self._within_deadline(durable)
        except asyncio.CancelledError:
            durable.close()
            durable.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - whatever a Flow raises is how it ended
            durable.close()
            return await self._failed(durable, error)

    async def _within_deadline(self, durable: Durable) -> Ending | Question:
        try:
            async with asyncio.timeout(self._seconds_left()) as bound:
                return await self._through(durable)
        except TimeoutError as error:
            if not bound.expired():
                raise
            raise DeadlinePassed("the run's deadline has passed.") from error

    async def _through(self, durable: Durable) -> Ending | Question:
        flow = make_flow(self._class)
        check_inputs(flow, self._run.inputs)
        # A streamed Flow hands its frames to a consumer and waits for it; a run has its events.
        flow.stream = False
        durable.attach(flow)
        output = await flow.kickoff_async(inputs={**self._run.inputs, "id": self._run.name})
        if durable.questions:
            await durable.settled()
            return durable.questions[0]
        output = finished(output)
        state = _json(state_of(flow))
        shown = state if output is None else _json(plain(output))
        self._secrets.refuse(shown, where="the output")
        self._secrets.refuse(state, where="the state")
        return Ending(state=RunState.SUCCEEDED, output=shown, final_state=state)

    async def _failed(self, durable: Durable, error: Exception) -> Ending | Question | float:
        late = isinstance(error, DeadlinePassed)
        if durable.questions and not late:
            await self._settled(durable)
            return durable.questions[0]
        step, cause = ("", error) if late or durable.failed is None else durable.failed
        self._failures[step] += 1
        seconds = self._delay(cause, self._failures[step], random=self._random) if step else None
        left = self._seconds_left()
        if seconds is not None and (left is None or seconds < left) and not self._leash.pulled:
            await self._settled(durable)
            self._meter.add(retries=1)
            told: dict[str, JsonValue] = {"step": step.partition("#")[0], "number": int(step.partition("#")[2])}
            attempt = self._failures[step]
            self._keeper.tell("step.retried", {**told, "attempt": attempt, "seconds": round(seconds, 3)})
            return seconds
        await durable.settled(cancel=True)
        message = self._secrets.without(cause_line(cause))
        return Ending(state=RunState.FAILED, problem=Problem(type=type(cause).__name__, message=message, step=step))

    async def _settled(self, durable: Durable) -> None:
        """Let other branches finish, as long as there is time."""
        try:
            async with asyncio.timeout(self._seconds_left()):
                await durable.settled()
        except TimeoutError:
            await durable.settled(cancel=True)

    def _seconds_left(self) -> float | None:
        deadline = self._run.bounds.deadline_unix
        return None if deadline is None else max(0.0, deadline - self._unix())


def _json(value: object) -> Any:  # noqa: ANN401 - JSON
    """As JSON has it; what is not a number becomes null."""
    return json.loads(to_json(value, inf_nan_mode="null", fallback=str))
