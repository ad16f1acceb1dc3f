"""One job's way: its run is kept in the store, worked on here, told of, and goes on where another worker's ended."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol
from uuid import uuid4

from pydantic import JsonValue

from orchestrator.batch.job import answer, read_job, refusal
from orchestrator.errors import OrchestratorError, StoreUnavailable
from orchestrator.host.desk import AskableFlow, RunDesk
from orchestrator.host.dispatch import Work
from orchestrator.host.refusals import Refused
from orchestrator.runs.run import Run, RunState
from orchestrator.runs.store import RunStore

PROGRESS_SECONDS: Final = 2.0
"""Between two updates at Runpod: each is a connection of its own in the SDK."""
ANOTHERS_SECONDS: Final = 2.0
"""Between two looks at a run that another worker still seems to own: it may have died, and its lease runs out."""

Progress = Callable[[Mapping[str, Any], dict[str, JsonValue]], None]
"""Shows a job's progress at Runpod; never waits."""


class Runner(Protocol):
    """``orchestrator.runs.runner.Runner``."""

    async def work(self, name: str) -> Run | None:
        """See there."""


class _Unneeded:
    """No dispatch: whoever asks for a run here works on it."""

    async def enqueue(self, name: str) -> None:
        """Nothing."""

    async def serve(self, work: Work, *, at_once: int) -> None:
        """Nothing."""

    async def waiting(self) -> set[str]:
        """None."""
        return set()

    def drain(self) -> None:
        """Nothing."""


class BatchWorker:
    """Answers jobs; an instance is the handler that Runpod's SDK calls, any number at once, on one event loop."""

    def __init__(
        self,
        *,
        flows: Mapping[str, AskableFlow],
        opened: Callable[[], Awaitable[tuple[RunStore, Runner]]],
        progress: Progress,
        unix: Callable[[], float],
        say: Callable[[str], object],
    ) -> None:
        """Make a worker.

        Args:
            flows: The Flows that are hosted, by name.
            opened: Opens the store, on the loop of the first job.
            progress: Shows a job's progress.
            unix: The time.
            say: Gets the log's lines.
        """
        self._flows = flows
        self._opened = opened
        self._progress = progress
        self._unix = unix
        self._say = say
        self._opening = asyncio.Lock()
        self._open: tuple[RunStore, Runner, RunDesk] | None = None

    async def __call__(self, job: Mapping[str, Any]) -> dict[str, JsonValue]:
        """The job's answer: a document of its run, or ``error``. Raises nothing but for cancellation."""
        name = str(job.get("id", ""))
        try:
            return await self._answer(name, job)
        except Refused as refused:
            self._say(f"job {name}: {refused}")
            return refusal(refused)
        except OrchestratorError as error:
            self._say(f"job {name}: {error}")
            code = "store_unavailable" if isinstance(error, StoreUnavailable) else "internal_error"
            return refusal(Refused(code, str(error)))
        except Exception as error:  # noqa: BLE001 - a traceback is for the worker's log, never for the caller
            self._say(f"job {name}: {type(error).__name__}: {error}")
            return refusal(Refused("internal_error", f"{type(error).__name__}: {error}"))

    async def _answer(self, job_name: str, job: Mapping[str, Any]) -> dict[str, JsonValue]:
        body = read_job(job)
        flow = body.flow or (next(iter(self._flows)) if len(self._flows) == 1 else "")
        if not flow:
            raise Refused("flow_unknown", f"The job's input names no flow: one of {', '.join(sorted(self._flows))}.")
        store, runner, desk = await self._ready()
        run, _ = await desk.ask(flow, body.wish(job_name))
        loop = asyncio.get_running_loop()
        telling = loop.create_task(self._tell(store, job, run.name))
        try:
            rested = await self._rested(store, runner, run)
        except asyncio.CancelledError:
            # The job was cancelled or timed out: nobody waits for the run any more, and nobody pays for it further.
            await asyncio.shield(loop.create_task(_cancelled(store, run.name)))
            raise
        finally:
            telling.cancel()
        self._say(f"job {job_name}: run {rested.name}: {rested.flow} {rested.state.value}")
        return answer(rested)

    async def _rested(self, store: RunStore, runner: Runner, run: Run) -> Run:
        """The run when it has ended or waits for a person, by this worker's work or by another's."""
        while True:
            rested = await runner.work(run.name) or await store.run(run.name) or run
            if rested.state.ended or rested.state is RunState.WAITING:
                return rested
            await asyncio.sleep(ANOTHERS_SECONDS)

    async def _tell(self, store: RunStore, job: Mapping[str, Any], name: str) -> None:
        """Show each step as it begins and ends, the latest where several did; until cancelled."""
        after = 0
        while True:
            try:
                events = await store.events(name, after=after, wait_seconds=10.0)
            except StoreUnavailable:
                await asyncio.sleep(PROGRESS_SECONDS)
                continue
            steps = [event for event in events if event.type.startswith("step.")]
            after = events[-1].number if events else after
            if steps:
                self._progress(job, {"run": name, "event": steps[-1].type, **steps[-1].data})
                await asyncio.sleep(PROGRESS_SECONDS)

    async def _ready(self) -> tuple[RunStore, Runner, RunDesk]:
        async with self._opening:
            if self._open is None:
                store, runner = await self._opened()
                desk = RunDesk(
                    store=store,
                    dispatch=_Unneeded(),
                    flows=self._flows,
                    unix=self._unix,
                    new_name=lambda: str(uuid4()),
                )
                self._open = (store, runner, desk)
            return self._open


async def _cancelled(store: RunStore, name: str) -> None:
    await store.cancel(name)
