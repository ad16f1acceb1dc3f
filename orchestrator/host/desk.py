"""The desk: where runs are asked for, waited for, cancelled, resumed and answered."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from pydantic import JsonValue

from orchestrator.errors import InputsRefused, RunConflict
from orchestrator.host.dispatch import Dispatch
from orchestrator.host.refusals import Refused
from orchestrator.runs.run import Event, NewRun, Run, RunBounds, RunState
from orchestrator.runs.store import RunStore

LISTEN_SECONDS: Final = 10.0
"""How long the store is asked to wait for an event before it is asked again."""
LOOK_SECONDS_MIN, LOOK_SECONDS_MAX = 0.1, 1.0
"""How often a run is looked at that somebody waits for, seldomer with time."""
LOOK_SECONDS_HERE = 10.0
"""How often one is that is under way in this worker: its end is told."""


class AskableFlow(Protocol):
    """A Flow that runs can be asked of."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def code(self) -> str:
        """The fingerprint of its code."""

    def check(self, inputs: Mapping[str, object]) -> None:
        """Raise ``InputsRefused`` unless it takes these inputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A run that is asked for: ``name`` may be ``None`` for a fresh one, ``idempotency_key`` empty.

    ``usd_max``, ``calls_max`` and ``seconds_max`` (from now) are its bounds, ``None`` where there is none.
    """

    inputs: Mapping[str, JsonValue] = field(default_factory=dict)
    name: str | None = None
    idempotency_key: str = ""
    usd_max: float | None = None
    calls_max: int | None = None
    seconds_max: float | None = None


class RunDesk:
    """Runs of the Flows that are hosted, by any worker that shares the store."""

    def __init__(
        self,
        *,
        store: RunStore,
        dispatch: Dispatch,
        flows: Mapping[str, AskableFlow],
        unix: Callable[[], float],
        new_name: Callable[[], str],
        here: Container[str] = (),
    ) -> None:
        """Make a desk.

        Args:
            store: Where runs are kept.
            dispatch: What brings them to workers.
            flows: The Flows that are hosted, by name.
            unix: The time.
            new_name: A name for a run that was given none.
            here: The names of runs that are under way in this worker.
        """
        self._leaving = asyncio.Event()
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._store = store
        self._dispatch = dispatch
        self._flows = flows
        self._unix = unix
        self._new_name = new_name
        self._here = here

    async def ask(self, flow: str, wish: Wish) -> tuple[Run, bool]:
        """Queue a run, and say whether it is new: the same idempotency key gives the run that it gave before.

        Raises:
            Refused: There is no such Flow, its state does not take the inputs, or name or key are in use.
            StoreUnavailable: It could not be kept.
        """
        asked = self._flows.get(flow)
        if asked is None:
            raise Refused("flow_unknown", f"There is no Flow {flow!r} here, only {', '.join(sorted(self._flows))}.")
        try:
            asked.check(wish.inputs)
        except InputsRefused as refused:
            raise Refused("inputs_refused", str(refused), refused.problems) from refused
        deadline = None if wish.seconds_max is None else self._unix() + wish.seconds_max
        new = NewRun(
            name=wish.name or self._new_name(),
            flow=flow,
            inputs=wish.inputs,
            code=asked.code,
            bounds=RunBounds(usd_max=wish.usd_max, calls_max=wish.calls_max, deadline_unix=deadline),
            idempotency_key=wish.idempotency_key,
            request=_request_fingerprint(flow, wish),
        )
        try:
            run, is_new = await self._store.add(new)
        except RunConflict as conflict:
            raise Refused("run_conflict", str(conflict)) from conflict
        if run.state is RunState.QUEUED:
            await self._dispatch.enqueue(run.name)
        return run, is_new

    async def run(self, name: str) -> Run:
        """The run. Raises ``Refused`` where there is none, ``StoreUnavailable``."""
        run = await self._store.run(name)
        if run is None:
            raise Refused("run_unknown", f"There is no run {name!r}.")
        return run

    async def runs(self, *, flow: str, states: Sequence[RunState], before_unix: float, limit: int) -> Sequence[Run]:
        """The newest runs first. Raises ``StoreUnavailable``."""
        return await self._store.runs(flow=flow, states=states, before_unix=before_unix, limit=limit)

    async def ended(self, name: str, *, seconds_max: float) -> Run:
        """The run when it has ended or waits for a person, or as it is when the time is over or this worker leaves.

        Raises ``Refused`` where there is none, ``StoreUnavailable``.
        """
        clock = asyncio.get_running_loop().time
        ends_at = clock() + seconds_max
        pause = LOOK_SECONDS_MIN
        run = await self.run(name)
        while not (_is_over(run) or self._leaving.is_set()) and (left := ends_at - clock()) > 0:
            await self._rest(name, min(left, LOOK_SECONDS_HERE if name in self._here else pause))
            pause = min(2 * pause, LOOK_SECONDS_MAX)
            run = await self.run(name)
        return run

    async def _rest(self, name: str, seconds: float) -> None:
        """Wait until this worker has done what it could for the run, so long at most."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(name, set())
        waiting.add(done)
        try:
            await asyncio.wait({done}, timeout=seconds)
        finally:
            waiting.discard(done)
            if not waiting:
                self._waiting.pop(name, None)

    def rested(self, name: str) -> None:
        """This worker has done what it could for the run: whoever waits for it looks at once."""
        for waiting in self._waiting.get(name, ()):
            if not waiting.done():
                waiting.set_result(None)

    def leave(self) -> None:
        """This worker ends: whoever waits here is told what is known by now, and event streams end."""
        self._leaving.set()
        for name in self._waiting:
            self.rested(name)

    async def events(self, name: str, *, after: int, seconds_max: float) -> AsyncIterator[Event]:
        """What happens in the run after the event of that number: to its end, to a question to a person, until the
        time is over or this worker leaves. Raises ``Refused`` where there is none, ``StoreUnavailable``.
        """
        clock = asyncio.get_running_loop().time
        ends_at = clock() + seconds_max
        while not self._leaving.is_set() and (left := ends_at - clock()) > 0:
            batch = await self._listen(name, after, min(left, LISTEN_SECONDS))
            for event in batch:
                after = event.number
                yield event
            if (not batch or batch[-1].type.startswith("run.")) and _is_over(await self.run(name)):
                # What was told between the last look and the end.
                for event in await self._store.events(name, after=after):
                    yield event
                return

    async def _listen(self, name: str, after: int, seconds: float) -> Sequence[Event]:
        """The next events, none where there were none for so long or this worker leaves."""
        loop = asyncio.get_running_loop()
        listening = loop.create_task(self._store.events(name, after=after, wait_seconds=seconds))
        leaving = loop.create_task(self._leaving.wait())
        try:
            await asyncio.wait({listening, leaving}, return_when=asyncio.FIRST_COMPLETED)
            return listening.result() if listening.done() else ()
        finally:
            listening.cancel()
            leaving.cancel()

    async def cancel(self, name: str) -> Run:
        """Have it cancelled: at once where no worker owns it, else by its owner, soon.

        Raises ``Refused`` where there is none or it ended, ``StoreUnavailable``.
        """
        run = await self.run(name)
        if not await self._store.cancel(name):
            raise Refused("run_ended", f"The run {name!r} has ended: {run.state.value}.")
        return await self.run(name)

    async def resume(self, name: str, *, accept_changed_code: bool) -> Run:
        """Queue a failed or cancelled run again; it goes on after the last step that was kept.

        Raises ``Refused`` where there is none, it neither failed nor was cancelled, its Flow is not hosted here, or the
        Flow's code changed and that is not accepted; ``StoreUnavailable``.
        """
        run = await self.run(name)
        flow = self._flows.get(run.flow)
        if flow is None:
            raise Refused("flow_unknown", f"The Flow {run.flow!r} of this run is not hosted here.")
        if run.state in {RunState.FAILED, RunState.CANCELLED} and run.code != flow.code and not accept_changed_code:
            raise Refused("code_changed", f"{run.flow} has changed since the run {name!r} began.")
        if not await self._store.resume(name, code=flow.code if accept_changed_code else ""):
            raise Refused("run_not_resumable", f"The run {name!r} is {run.state.value}.")
        await self._dispatch.enqueue(name)
        return await self.run(name)

    async def answer(self, name: str, feedback: str) -> Run:
        """Tell a run that waits what the person said.

        Raises ``Refused`` where there is none or it waits for nobody, ``StoreUnavailable``.
        """
        run = await self.run(name)
        if not await self._store.answer(name, feedback):
            raise Refused("run_not_waiting", f"The run {name!r} is {run.state.value}.")
        await self._dispatch.enqueue(name)
        return await self.run(name)


def _is_over(run: Run) -> bool:
    """Whether nothing more happens in it unless somebody asks for it."""
    return run.state.ended or run.state is RunState.WAITING


def _request_fingerprint(flow: str, wish: Wish) -> str:
    """The same for the same request: what an idempotency key may be used with again."""
    asked = [flow, wish.name, dict(wish.inputs), wish.usd_max, wish.calls_max, wish.seconds_max]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
