"""What tests of the runner share: a store in a directory, a clock, and a runner that never waits long."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crewai.flow.flow import Flow
from pydantic import JsonValue

from orchestrator.runs.directory_store import DirectoryRunStore
from orchestrator.runs.run import NewRun, Run, RunBounds
from orchestrator.runs.runner import Runner
from orchestrator.settings import Secret
from tests.orchestrator.runs.clocks import ManualClock

KEY = "canary-key-of-the-gateway"
BOUND_SECONDS = 10.0


def never(_error: BaseException, _attempt: int, *, random: Callable[[], float]) -> None:
    """Nothing is tried again."""
    del random


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One worker at work."""

    store: DirectoryRunStore
    clock: ManualClock
    runner: Runner

    async def add(
        self,
        flow: str,
        inputs: Mapping[str, JsonValue] | None = None,
        *,
        name: str = "run-1",
        deadline_unix: float | None = None,
    ) -> str:
        """A queued run."""
        await self.store.add(self.asked(flow, inputs, name=name, deadline_unix=deadline_unix))
        return name

    def asked(
        self,
        flow: str,
        inputs: Mapping[str, JsonValue] | None = None,
        *,
        name: str = "run-1",
        deadline_unix: float | None = None,
    ) -> NewRun:
        """A run to be queued."""
        code, bounds = self.runner.code(flow), RunBounds(deadline_unix=deadline_unix)
        return NewRun(name=name, flow=flow, inputs=inputs or {}, code=code, bounds=bounds)

    async def run(
        self, flow: str, inputs: Mapping[str, JsonValue] | None = None, *, deadline_unix: float | None = None
    ) -> Run:
        """A run, from its request to its end."""
        return await self.work(await self.add(flow, inputs, deadline_unix=deadline_unix))

    async def work(self, name: str = "run-1") -> Run:
        """Take a run up, to wherever it gets."""
        async with asyncio.timeout(BOUND_SECONDS):
            run = await self.runner.work(name)
        assert run is not None
        return run

    async def told(self, name: str = "run-1") -> list[tuple[str, dict[str, Any]]]:
        """What was told of it."""
        return [(event.type, dict(event.data)) for event in await self.store.events(name)]

    async def types(self, name: str = "run-1") -> list[str]:
        """The types of that."""
        return [type_ for type_, _ in await self.told(name)]


@asynccontextmanager
async def desk_in(folder: Path, *flows: type[Flow[Any]], **settings: Any) -> AsyncIterator[Desk]:  # noqa: ANN401
    """A worker that hosts these Flows, with a heartbeat every few milliseconds."""
    clock = ManualClock()
    store = DirectoryRunStore(folder, unix=clock.unix)
    runner = Runner(
        **{
            "store": store,
            "flows": {flow.__name__: flow for flow in flows},
            "owner": "one",
            "unix": clock.unix,
            "lease_seconds": 30.0,
            "heartbeat_seconds": 0.005,
            "secrets": [Secret(KEY)],
            "delay": never,
            **settings,
        }
    )
    try:
        yield Desk(store=store, clock=clock, runner=runner)
    finally:
        await store.close()
