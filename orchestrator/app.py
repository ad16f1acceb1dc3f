"""The app behind a load balancer: hosts Flows, and says when it can. Composition: what it is made of is in ``host/``.

GET  /ping                   204 while it warms up, 200 when it serves, 503 while it drains
POST /flows/{flow}           runs a Flow; answers when the run has ended, else 202 with its address
POST /flows/{flow}/runs      begins a run; 202 at once
GET  /runs, /runs/{run}, /runs/{run}/events
POST /runs/{run}/cancel, /resume, /feedback
GET  /flows, /metrics, /openapi.json
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from uuid import uuid4

from fastapi import FastAPI

from orchestrator.errors import OrchestratorError, StoreUnavailable
from orchestrator.host.bridge import BridgedStore
from orchestrator.host.desk import AskableFlow, RunDesk
from orchestrator.host.dispatch import Dispatch, LocalDispatch
from orchestrator.host.edge import SizeGate, TokenGate, answer_refusals
from orchestrator.host.flow_loop import FlowLoop
from orchestrator.host.forgetting import RUNS_DAYS, keep_forgetting
from orchestrator.host.keep_alive import HOLD_SECONDS_MAX, Business
from orchestrator.host.metrics import HostMetrics
from orchestrator.host.refusals import Refused
from orchestrator.host.routes import FlowAsked, Routes
from orchestrator.host.sweep import keep_sweeping
from orchestrator.host.warm_up import Phase, warm_up
from orchestrator.runs.open_store import OpenRunStore
from orchestrator.runs.run import Run
from orchestrator.runs.store import RunStore
from orchestrator.settings import Secret

RUNS_MAX: Final = 200
"""Runs at once in one worker; more wait their turn."""
WAITING_MAX: Final = 1000
"""Runs that may wait for their turn in one worker; more are refused."""
LET_GO_SECONDS_MAX: Final = 10.0
"""How long runs have to be let go at the end, when their time to end is over."""


class Flow(AskableFlow, FlowAsked, Protocol):
    """A Flow that is hosted."""


class Runner(Protocol):
    """Takes runs to their ends, on the Flows' loop."""

    async def work(self, name: str) -> Run | None:
        """Take the run up and to its rest; ``None`` where it is not to be taken. Who cancels it lets the run go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Makings:
    """What a host is made of; each is called while it warms up.

    Attributes:
        load: Gives the Flows by name; takes seconds, and is called in a thread.
        first_run: Runs something small on the Flows' loop: what a first run costs is paid then.
        open_store: Opens the store of runs, on the server's loop; closed with the app.
        make_runner: Makes what takes runs to their ends, from the store as the Flows' loop sees it.
        reachable: Waits until the gateway answers with this orchestrator's key.
        make_dispatch: Makes what brings runs of these Flows to workers; within this process where it is left out.
        last: Called on the Flows' loop when no run is left; nothing where it is left out.
        stay_awake: Keeps the worker awake while runs are under way, until cancelled; nothing where it is left out.
    """

    load: Callable[[], Mapping[str, Flow]]
    first_run: Callable[[], Coroutine[Any, Any, object]]
    open_store: Callable[[], Awaitable[OpenRunStore]]
    make_runner: Callable[[RunStore, Mapping[str, Flow]], Runner]
    reachable: Callable[[], Awaitable[object]]
    make_dispatch: Callable[[Mapping[str, Flow]], Dispatch] = field(default=lambda _flows: LocalDispatch())
    last: Callable[[], Coroutine[Any, Any, object]] | None = None
    stay_awake: Callable[[Business], Coroutine[Any, Any, None]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOptions:
    """How a host behaves.

    Attributes:
        token: What callers show as X-Tiergate-Token; nobody is asked for one where it is ``None``.
        worker: This worker's name at the balancer.
        affine: Whether runs are known to this worker alone, so that callers have to come back to it.
        runs_max: Runs at once.
        waiting_max: Runs that may wait for their turn here.
        runs_days: For how many days a run is kept after its end; 0 for ever.
    """

    token: Secret | None = None
    worker: str = ""
    affine: bool = False
    runs_max: int = RUNS_MAX
    waiting_max: int = WAITING_MAX
    runs_days: int = RUNS_DAYS


class FlowHost:
    """Hosts Flows: warming up, then serving, then draining.

    Attributes:
        draining: Whether it takes no more runs.
    """

    def __init__(
        self,
        makings: Makings,
        *,
        flow_loop: FlowLoop,
        metrics: HostMetrics,
        options: HostOptions,
        unix: Callable[[], float],
        say: Callable[[str], object],
        on_broken: Callable[[OrchestratorError], None],
    ) -> None:
        """Make a host that is still to warm up.

        Args:
            makings: What it is made of.
            flow_loop: Where the runs will be; started and stopped with the app.
            metrics: What the worker tells of itself.
            options: How it behaves.
            unix: The time.
            say: Gets the log's lines.
            on_broken: Told where it cannot warm up, or cannot take up any more runs: it will never serve again.
        """
        self.draining = False
        self._makings = makings
        self._flow_loop = flow_loop
        self._metrics = metrics
        self._options = options
        self._unix = unix
        self._say = say
        self._on_broken = on_broken
        self._business = Business()
        self._beginning = asyncio.Lock()
        self._flows: Mapping[str, Flow] = {}
        self._desk: RunDesk | None = None
        self._store: OpenRunStore | None = None
        self._dispatch: Dispatch | None = None
        self._runner: Runner | None = None
        self._tasks: list[asyncio.Task[None]] = []
        metrics.runs_open(lambda: len(self._business))

    @property
    def runs(self) -> int:
        """How many runs are under way."""
        return len(self._business)

    def app(self) -> FastAPI:
        """The ASGI application; its lifespan is the host's."""
        app = FastAPI(
            title="Tiergate Flows",
            description="Runs CrewAI Flows: at once or in the background, durably, with their events.",
            version="1",
            lifespan=self._lifespan,
            docs_url=None,
            redoc_url=None,
        )
        app.include_router(Routes(self).router())
        answer_refusals(app)
        app.add_middleware(SizeGate)
        if self._options.token is not None:
            app.add_middleware(TokenGate, token=self._options.token)
        return app

    # --- what the handlers see

    def desk(self, *, for_new: bool = False) -> RunDesk:
        """The desk. Raises ``Refused`` while it warms up, and for a new run while it drains or too many wait."""
        if for_new and self.draining:
            raise Refused("draining", "This worker is ending.")
        if self._desk is None:
            raise Refused("warming_up", "This worker is still warming up.")
        waiting = self._dispatch.length if isinstance(self._dispatch, LocalDispatch) else 0
        if for_new and waiting >= self._options.waiting_max:
            raise Refused("runs_waiting", f"{self.runs} runs are under way in this worker, and {waiting} wait.")
        return self._desk

    def flows(self) -> Mapping[str, Flow]:
        """The Flows that are hosted, none while it warms up."""
        return self._flows if self._desk is not None else {}

    def affinity(self) -> dict[str, str]:
        """Headers that bring a caller back to this worker; none where any worker will do."""
        affine = self._options.affine and self._options.worker
        return {"x-tiergate-affinity": f"strict {self._options.worker}"} if affine else {}

    async def held(self) -> str:
        """Wait until no run is under way, bounded; the name of this worker."""
        await self._business.idle(HOLD_SECONDS_MAX)
        return self._options.worker

    def metrics(self) -> bytes:
        """Its series, for Prometheus."""
        return self._metrics.text()

    # --- its life

    async def drained(self, seconds_max: float) -> None:
        """Take no more runs, let those that are under way end, and after ``seconds_max`` let them go to other workers.

        Whoever waits for a run here is told where it is. Returns when no run is under way, or does not end.
        """
        self.draining = True
        if self._dispatch is not None:
            self._dispatch.drain()
        await self._business.idle(seconds_max)
        await self._end_tasks()
        if self._desk is not None:
            self._desk.leave()

    @asynccontextmanager
    async def _lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        self._begin(self._warm_up())
        self._begin(self._metrics.watch_lag("server"))
        try:
            yield
        finally:
            self.draining = True
            await self._end_tasks()
            await self._stop_flows()
            await self._close_store()

    async def _stop_flows(self) -> None:
        if self._store is not None and self._makings.last is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(LET_GO_SECONDS_MAX):
                    await self._flow_loop.call(self._makings.last)
        await asyncio.to_thread(self._flow_loop.stop)

    async def _close_store(self) -> None:
        if self._store is not None:
            await self._store.close()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def _end_tasks(self) -> None:
        """Cancel what the host has begun, which lets every run go, and wait for its end, bounded."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=LET_GO_SECONDS_MAX)

    async def _warm_up(self) -> None:
        makings = self._makings
        phases = (
            Phase("importing CrewAI and the Flows", self._load),
            Phase("a first run", lambda: self._flow_loop.call(makings.first_run)),
            Phase("opening the store of runs", self._open_store),
            Phase("reaching the gateway", makings.reachable),
        )
        try:
            await warm_up(phases, say=self._say)
        except OrchestratorError as error:
            self._on_broken(error)
            return
        self._open()

    async def _load(self) -> None:
        self._flows = await asyncio.to_thread(self._makings.load)
        await asyncio.to_thread(self._flow_loop.start)

    async def _open_store(self) -> None:
        store = await self._makings.open_store()
        await store.runs(limit=1)
        bridged = BridgedStore(store, asyncio.get_running_loop())
        self._store, self._runner = store, self._makings.make_runner(bridged, self._flows)

    def _open(self) -> None:
        """Begin to serve."""
        if self._store is None:
            return
        store, flows = self._store, self._flows
        dispatch = self._dispatch = self._makings.make_dispatch(flows)
        self._begin(self._serve(dispatch))
        self._begin(keep_sweeping(store, dispatch, flows, unix=self._unix, say=self._say))
        self._begin(keep_forgetting(store, days=self._options.runs_days, unix=self._unix, say=self._say))
        self._begin(self._flow_loop.call(lambda: self._metrics.watch_lag("flows")))
        if self._makings.stay_awake is not None:
            self._begin(self._makings.stay_awake(self._business))
        self._desk = RunDesk(
            store=store,
            dispatch=dispatch,
            flows=flows,
            unix=self._unix,
            new_name=lambda: str(uuid4()),
            here=self._business,
        )

    async def _serve(self, dispatch: Dispatch) -> None:
        """Take runs up. A worker that cannot any more is of no use: it ends, rather than be asked for runs."""
        try:
            await dispatch.serve(self._work, at_once=self._options.runs_max)
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker ends of it
            self._on_broken(OrchestratorError(f"no more runs can be taken up: {type(error).__name__}: {error}"))

    async def _work(self, name: str) -> None:
        """Take a run up and to its rest. Raises ``StoreUnavailable`` where the store did not say how it stands."""
        runner = self._runner
        if runner is None:
            return
        self._business.begin(name)
        try:
            async with self._beginning:
                await self._flow_loop.turn()
            run = await self._flow_loop.call(lambda: runner.work(name))
        except StoreUnavailable as error:
            self._say(f"run {name}: {error}")
            raise
        except Exception as error:  # noqa: BLE001 - one run's trouble is not that of the others; its lease runs out
            known = isinstance(error, OrchestratorError)
            self._say(f"run {name}: {error}" if known else f"run {name}: {type(error).__name__}: {error}")
            run = None
        finally:
            self._business.end(name)
            if self._desk is not None:
                self._desk.rested(name)
        if run is not None:
            ended = run.ended_unix and run.started_unix
            self._metrics.run_rested(
                run.flow,
                run.state.value,
                run.ended_unix - run.started_unix if ended else None,
                delay=max(run.started_unix - run.created_unix, 0.0),
            )
            self._say(f"run {name}: {run.flow} {run.state.value}")
