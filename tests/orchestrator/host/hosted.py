"""A host over doubles: Flows that are not CrewAI's, runs that end when a test says so; and a real store of runs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import httpx

from orchestrator.app import FlowHost, HostOptions, Makings, Runner
from orchestrator.errors import InputProblem, InputsRefused, OrchestratorError, StoreUnavailable
from orchestrator.host.dispatch import Dispatch, LocalDispatch
from orchestrator.host.flow_loop import FlowLoop
from orchestrator.host.keep_alive import Business
from orchestrator.host.metrics import HostMetrics
from orchestrator.runs.directory_store import DirectoryRunStore
from orchestrator.runs.owning import own
from orchestrator.runs.run import Problem, Question, Run, RunState
from orchestrator.runs.store import Ending, RunStore
from tests.orchestrator.runs.clocks import ManualClock

BOUND_SECONDS = 10


@dataclass
class DoubleFlow:
    """A Flow that takes any input but a colour."""

    name: str = "Double"
    code: str = "code-1"

    def check(self, inputs: Mapping[str, object]) -> None:
        """Refuse a colour."""
        if "colour" in inputs:
            raise InputsRefused(self.name, (InputProblem(field="colour", reason="the state has no such field"),))

    def inputs_schema(self) -> dict[str, Any]:
        """The schema of anything."""
        return {"type": "object"}


class DoubleRunner:
    """Takes runs up as the real one does; their inputs say how they go.

    ``bug``: raises. ``wait``: until ``go`` is set. ``fail``: fails. ``ask``: waits for a person, and ends with
    what that person said.
    """

    def __init__(self, store: RunStore, go: Event) -> None:
        self._store = store
        self._go = go
        self.let_go: list[str] = []
        self.unavailable: StoreUnavailable | None = None

    async def work(self, name: str) -> Run | None:
        """One run, to its rest."""
        if self.unavailable is not None:
            raise self.unavailable
        owned = await own(self._store, name, owner="w-1", lease_seconds=30)
        if owned is None:
            return None
        try:
            run = await self._store.run(name)
            assert run is not None
            if run.inputs.get("bug"):
                await self._store.let_go(owned)
                raise KeyError("cold oven")
            await self._store.tell(owned, "step.started", {"step": "work"})
            while run.inputs.get("wait") and not self._go.is_set():
                if await self._store.renew(owned, lease_seconds=30):
                    await self._store.end(owned, Ending(state=RunState.CANCELLED))
                    return await self._store.run(name)
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            await self._store.let_go(owned)
            self.let_go.append(name)
            raise
        said = await self._store.feedback(name)
        if run.inputs.get("ask") and not said:
            await self._store.ask(owned, Question(step="review#1", message="Good?", output="a draft"))
        elif run.inputs.get("fail") and run.attempts < 2:
            problem = Problem(type="RuntimeError", message="cold oven", step="work")
            await self._store.end(owned, Ending(state=RunState.FAILED, problem=problem))
        else:
            output = next(iter(said.values()), None) or dict(run.inputs)
            await self._store.end(owned, Ending(state=RunState.SUCCEEDED, output=output, final_state={"id": name}))
        return await self._store.run(name)


class CountedLoop(FlowLoop):
    """A loop that counts how often somebody waited for its turn."""

    turns = 0

    async def turn(self) -> None:
        """One more."""
        self.turns += 1
        await super().turn()


class Hosted:
    """A host over doubles, with what happens before it is ready."""

    def __init__(
        self,
        directory: Path,
        *,
        options: HostOptions | None = None,
        stay_awake: Callable[[Business], Coroutine[Any, Any, None]] | None = None,
        make_dispatch: Callable[[Mapping[str, object]], Dispatch] = lambda _flows: LocalDispatch(),
    ) -> None:
        self.flow = DoubleFlow()
        self.loaded, self.go = Event(), Event()
        self.gateway_is_up = asyncio.Event()
        self.gateway_is_up.set()
        self.unusable: OrchestratorError | None = None
        self.broken: list[OrchestratorError] = []
        self.said: list[str] = []
        self.first_runs = self.ended = 0
        self.unix = ManualClock().unix
        self.runner: DoubleRunner | None = None
        self.store: DirectoryRunStore | None = None
        self.metrics = HostMetrics()
        self._directory = directory
        self.flow_loop = CountedLoop(within=nothing, threads_max=4)
        makings = Makings(
            load=self._load,
            first_run=self._first_run,
            open_store=self._open_store,
            make_runner=self._make_runner,
            reachable=self.gateway_is_up.wait,
            make_dispatch=make_dispatch,
            last=self._last,
            stay_awake=stay_awake,
        )
        self.host = FlowHost(
            makings,
            flow_loop=self.flow_loop,
            metrics=self.metrics,
            options=options or HostOptions(),
            unix=self.unix,
            say=self.said.append,
            on_broken=self.broken.append,
        )

    def _load(self) -> Mapping[str, DoubleFlow]:
        assert self.loaded.wait(20)
        if self.unusable is not None:
            raise self.unusable
        return {self.flow.name: self.flow}

    async def _first_run(self) -> None:
        self.first_runs += 1

    async def _last(self) -> None:
        self.ended += 1

    async def _open_store(self) -> DirectoryRunStore:
        self.store = DirectoryRunStore(self._directory, unix=self.unix)
        return self.store

    def _make_runner(self, store: RunStore, flows: Mapping[str, object]) -> Runner:
        assert list(flows) == [self.flow.name]
        self.runner = DoubleRunner(store, self.go)
        return self.runner

    @asynccontextmanager
    async def client(self, *, ready: bool = True, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
        """A client of the running app; by default it serves already."""
        app = self.host.app()
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        try:
            async with (
                app.router.lifespan_context(app),
                httpx.AsyncClient(transport=transport, base_url="http://worker", headers=headers) as client,
            ):
                if ready:
                    self.loaded.set()
                    await until(client, 200)
                yield client
        finally:
            self.loaded.set()


@contextmanager
def nothing() -> Iterator[None]:
    """A context with nothing in it."""
    yield


async def until(client: httpx.AsyncClient, status: int) -> None:
    """Wait until ``/ping`` says it."""
    async with asyncio.timeout(BOUND_SECONDS):
        while (await client.get("/ping")).status_code != status:  # noqa: ASYNC110 - what a client sees
            await asyncio.sleep(0.005)


async def seen(condition: Callable[[], object]) -> None:
    """Wait for what another task or thread brings about."""
    async with asyncio.timeout(BOUND_SECONDS):
        while not condition():  # noqa: ASYNC110 - another's doing: nobody tells when it has come
            await asyncio.sleep(0.005)


async def told(client: httpx.AsyncClient, run: str, status: str) -> dict[str, Any]:
    """Wait until a run has this status; its document."""
    async with asyncio.timeout(BOUND_SECONDS):
        while True:
            document: dict[str, Any] = (await client.get(f"/runs/{run}")).json()
            if document.get("status") == status:
                return document
            await asyncio.sleep(0.005)
