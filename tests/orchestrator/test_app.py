"""The app behind a load balancer, with a double in place of the Flow."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from threading import Event
from typing import Any

import httpx
import pytest

from orchestrator.app import BODY_BYTES_MAX, FlowHost
from orchestrator.errors import FlowUnusable, InputProblem, InputsRefused, OrchestratorError


class DoubleRun:
    """A run that ends when it is let go or cancelled."""

    def __init__(self, inputs: Mapping[str, object], run: str | None) -> None:
        self.inputs = inputs
        self.name = run
        self.begun, self.go, self.cancelled = Event(), Event(), Event()

    def work(self) -> dict[str, object]:
        """Wait, then say what was asked for."""
        self.begun.set()
        if "colour" in self.inputs:
            raise InputsRefused("Double", (InputProblem(field="colour", reason="no such field"),))
        if self.inputs.get("slow"):
            assert self.go.wait(20)
        status = "failed" if self.inputs.get("fail") else "ok"
        return {"run": self.name, "status": status, "output": self.inputs}

    def cancel(self) -> None:
        """Be cancelled."""
        self.cancelled.set()
        self.go.set()


class DoubleFlow:
    """A Flow of such runs."""

    name = "Double"

    def __init__(self) -> None:
        self.runs: list[DoubleRun] = []

    def prepare(self, inputs: Mapping[str, object], run: str | None) -> DoubleRun:
        """One more run."""
        self.runs.append(DoubleRun(inputs, run))
        return self.runs[-1]


class Hosted:
    """A host over a double, with what happens before it is ready."""

    def __init__(self, **limits: Any) -> None:  # noqa: ANN401 - limits of FlowHost
        self.flow = DoubleFlow()
        self.loaded = Event()
        self.gateway_is_up = True
        self.asked_gateway = 0
        self.unusable: OrchestratorError | None = None
        self.broken: list[OrchestratorError] = []
        self.host = FlowHost(load=self._load, reachable=self._reachable, on_broken=self.broken.append, **limits)

    def _load(self) -> DoubleFlow:
        assert self.loaded.wait(20)
        if self.unusable is not None:
            raise self.unusable
        return self.flow

    async def _reachable(self) -> bool:
        self.asked_gateway += 1
        return self.gateway_is_up

    @asynccontextmanager
    async def client(self, *, ready: bool = True) -> AsyncIterator[httpx.AsyncClient]:
        """A client of the running app; by default the Flow is loaded."""
        app = self.host.app()
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://worker") as client,
        ):
            if ready:
                self.loaded.set()
                await until(client, 200)
            yield client
        self.loaded.set()


async def until(client: httpx.AsyncClient, status: int) -> None:
    """Wait until ``/ping`` says it."""
    async with asyncio.timeout(10):
        while (await client.get("/ping")).status_code != status:  # noqa: ASYNC110 - what a client sees
            await asyncio.sleep(0.005)


async def seen(condition: Callable[[], object]) -> None:
    """Wait for what a thread brings about."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a thread's doing: nobody tells when it has come
            await asyncio.sleep(0.005)


async def begun(hosted: Hosted, count: int = 1) -> None:
    """Wait until so many runs are at work."""
    await seen(lambda: sum(run.begun.is_set() for run in hosted.flow.runs) >= count)


async def test_it_warms_up_until_the_flow_is_there_and_the_gateway_answers() -> None:
    hosted = Hosted()
    hosted.gateway_is_up = False
    async with hosted.client(ready=False) as client:
        ping = await client.get("/ping")
        assert (ping.status_code, ping.content) == (204, b"")
        early = await client.post("/flows/Double")
        assert (early.status_code, early.headers["retry-after"]) == (503, "5")
        assert "still warming up" in early.text
        assert hosted.asked_gateway == 0
        hosted.loaded.set()
        await seen(lambda: hosted.asked_gateway)
        assert (await client.get("/ping")).status_code == 204
        hosted.gateway_is_up = True
        await until(client, 200)
        assert (await client.get("/ping")).json() == {"status": "ready", "flow": "Double", "runs": 0}


async def test_a_flow_that_cannot_be_loaded_is_told() -> None:
    """The worker is to end: it would never serve."""
    hosted = Hosted()
    hosted.unusable = FlowUnusable("there is no such Flow")
    async with hosted.client(ready=False) as client:
        hosted.loaded.set()
        await seen(lambda: hosted.broken)
        assert (await client.get("/ping")).status_code == 204
    assert hosted.broken == [hosted.unusable]


async def test_a_run_is_answered_when_it_has_ended() -> None:
    hosted = Hosted()
    async with hosted.client() as client:
        answer = await client.post("/flows/Double", json={"inputs": {"customer": "Ada"}, "run": "run-1"})
        assert (answer.status_code, answer.json()) == (
            200,
            {"run": "run-1", "status": "ok", "output": {"customer": "Ada"}},
        )
        assert (await client.post("/flows/Double")).json()["run"] is None


async def test_a_run_that_failed_is_500_with_its_document() -> None:
    async with Hosted().client() as client:
        answer = await client.post("/flows/Double", json={"inputs": {"fail": True}})
        assert (answer.status_code, answer.json()["status"]) == (500, "failed")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body"),
        (b"[]", "body"),
        (b'{"inputs": 1}', "inputs"),
        (b'{"run": "a b"}', "run"),
        (b'{"input": {}}', "input"),
        (b'{"inputs": {"colour": "red"}}', "colour"),
    ],
)
async def test_what_is_no_run_or_does_not_fit_the_state_is_422(body: bytes, field: str) -> None:
    """It names each field at fault."""
    async with Hosted().client() as client:
        answer = await client.post("/flows/Double", content=body)
        assert answer.status_code == 422
        assert [problem["field"] for problem in answer.json()["error"]["problems"]] == [field]


async def test_other_flows_and_large_bodies_are_refused() -> None:
    async with Hosted().client() as client:
        other = await client.post("/flows/Other")
        assert (other.status_code, "only 'Double'" in other.text) == (404, True)
        assert (await client.post("/flows/Double", content=b" " * (BODY_BYTES_MAX + 1))).status_code == 413


async def test_a_run_over_its_time_is_ended_and_504() -> None:
    hosted = Hosted(run_seconds_max=0.05)
    async with hosted.client() as client:
        answer = await client.post("/flows/Double", json={"inputs": {"slow": True}})
        assert (answer.status_code, "longer than 0.05 s" in answer.text) == (504, True)
        assert hosted.flow.runs[0].cancelled.is_set()


async def test_no_more_runs_are_taken_than_it_has_threads() -> None:
    hosted = Hosted(runs_max=1)
    async with hosted.client() as client, asyncio.TaskGroup() as group:
        first = group.create_task(client.post("/flows/Double", json={"inputs": {"slow": True}}))
        await begun(hosted)
        assert (await client.get("/ping")).json()["runs"] == 1
        second = await client.post("/flows/Double")
        assert (second.status_code, "1 runs under way" in second.text) == (503, True)
        hosted.flow.runs[0].go.set()
        assert (await first).status_code == 200
        assert (await client.post("/flows/Double")).status_code == 200


async def test_while_it_drains_it_takes_no_run_and_says_so() -> None:
    """What is under way ends well."""
    hosted = Hosted()
    async with hosted.client() as client, asyncio.TaskGroup() as group:
        first = group.create_task(client.post("/flows/Double", json={"inputs": {"slow": True}}))
        await begun(hosted)
        hosted.host.draining = True
        assert (await client.get("/ping")).status_code == 503
        assert "this worker is ending" in (await client.post("/flows/Double")).text
        hosted.flow.runs[0].go.set()
        assert (await first).status_code == 200


async def test_the_end_cancels_what_is_still_under_way() -> None:
    hosted = Hosted()
    async with asyncio.TaskGroup() as group:
        async with hosted.client() as client:
            group.create_task(client.post("/flows/Double", json={"inputs": {"slow": True}}))
            await begun(hosted)
        assert hosted.flow.runs[0].cancelled.is_set()
