"""The host's life: warming up, serving, draining; over doubles in place of Flows. Its paths: host/test_routes.py."""

import asyncio
from collections.abc import Container, Mapping
from pathlib import Path
from threading import Event

import httpx
import pytest

from orchestrator.app import HostOptions
from orchestrator.errors import FlowUnusable, StoreUnavailable
from orchestrator.host.dispatch import Dispatch, Work
from orchestrator.host.keep_alive import Business
from tests.orchestrator.host.hosted import Hosted, seen, told, until


async def test_it_warms_up_phase_by_phase_and_then_serves(tmp_path: Path) -> None:
    hosted = Hosted(tmp_path)
    hosted.gateway_is_up.clear()
    async with hosted.client(ready=False) as client:
        ping = await client.get("/ping")
        assert (ping.status_code, ping.content) == (204, b"")
        early = await client.post("/flows/Double")
        assert (early.status_code, early.headers["retry-after"]) == (503, "5")
        assert early.json()["error"]["code"] == "warming_up"
        hosted.loaded.set()
        await seen(lambda: len(hosted.said) == 3)
        assert (await client.get("/ping")).status_code == 204
        hosted.gateway_is_up.set()
        await until(client, 200)
        assert (await client.get("/ping")).json() == {"status": "ready", "flows": ["Double"], "runs": 0}
    assert (hosted.first_runs, hosted.ended) == (1, 1)
    phases = [line.partition(" took ")[0] for line in hosted.said]
    assert phases[:4] == [
        "start-up: importing CrewAI and the Flows",
        "start-up: a first run",
        "start-up: opening the store of runs",
        "start-up: reaching the gateway",
    ]


async def test_a_phase_that_fails_ends_the_worker_with_its_reason(tmp_path: Path) -> None:
    hosted = Hosted(tmp_path)
    hosted.unusable = FlowUnusable("there is no such Flow")
    async with hosted.client(ready=False) as client:
        hosted.loaded.set()
        await seen(lambda: hosted.broken)
        assert (await client.get("/ping")).status_code == 204
    [broken] = hosted.broken
    assert str(broken).startswith("start-up: importing CrewAI and the Flows failed after ")
    assert str(broken).endswith(": there is no such Flow")


async def test_runs_beyond_those_at_once_wait_and_beyond_those_that_may_wait_are_refused(tmp_path: Path) -> None:
    hosted = Hosted(tmp_path, options=HostOptions(runs_max=1, waiting_max=1))
    async with hosted.client() as client:
        await client.post("/flows/Double/runs", json={"inputs": {"wait": True}, "run": "first"})
        await told(client, "first", "running")
        assert (await client.get("/ping")).json()["runs"] == 1
        second = await client.post("/flows/Double/runs", json={"run": "second"})
        assert (second.status_code, second.json()["status"]) == (202, "queued")
        third = await client.post("/flows/Double/runs")
        assert (third.status_code, third.json()["error"]["code"]) == (503, "runs_waiting")
        hosted.go.set()
        await told(client, "second", "succeeded")
        assert (await client.post("/flows/Double")).status_code == 200


async def test_while_it_drains_it_takes_no_run_and_what_is_under_way_ends_well(tmp_path: Path) -> None:
    hosted = Hosted(tmp_path)
    async with hosted.client() as client, asyncio.TaskGroup() as group:
        first = group.create_task(client.post("/flows/Double", json={"inputs": {"wait": True}, "run": "first"}))
        await told(client, "first", "running")
        drained = group.create_task(hosted.host.drained(60))
        await until(client, 503)
        assert (await client.post("/flows/Double")).json()["error"]["code"] == "draining"
        assert (await client.get("/runs/first")).json()["status"] == "running"
        hosted.go.set()
        assert (await first).status_code == 200
        await drained
    assert hosted.runner is not None
    assert hosted.runner.let_go == []


async def test_while_it_drains_other_workers_get_what_it_would_have_taken(tmp_path: Path) -> None:
    dispatch = SharedDispatch()
    hosted = Hosted(tmp_path, make_dispatch=dispatch.made)
    async with hosted.client() as client:
        assert dispatch.flows == ["Double"]
        await hosted.host.drained(60)
        assert (await client.get("/ping")).status_code == 503
    assert dispatch.drained


async def test_what_the_store_did_not_answer_for_is_said_and_left_to_the_dispatch(tmp_path: Path) -> None:
    dispatch = SharedDispatch()
    hosted = Hosted(tmp_path, make_dispatch=dispatch.made)
    async with hosted.client():
        assert dispatch.work is not None
        assert hosted.runner is not None
        hosted.runner.unavailable = StoreUnavailable("the store at s does not answer")
        with pytest.raises(StoreUnavailable):
            await dispatch.work("run-1")
        assert "run run-1: the store at s does not answer" in hosted.said
        assert hosted.host.runs == 0


async def test_a_worker_that_cannot_take_runs_up_any_more_ends(tmp_path: Path) -> None:
    dispatch = SharedDispatch()
    hosted = Hosted(tmp_path, make_dispatch=dispatch.made)
    async with hosted.client():
        dispatch.breaks.set()
        await seen(lambda: bool(hosted.broken))
    assert str(hosted.broken[0]) == "no more runs can be taken up: KeyError: 'data'"


class SharedDispatch:
    """Brings nothing by itself: a test says what."""

    def __init__(self) -> None:
        self.work: Work | None = None
        self.flows: list[str] = []
        self.drained = False
        self.breaks = asyncio.Event()

    def made(self, flows: Mapping[str, object]) -> Dispatch:
        """Itself."""
        self.flows = list(flows)
        return self

    async def enqueue(self, name: str) -> None:
        """Nobody is told."""

    async def serve(self, work: Work, *, at_once: int) -> None:
        """Until cancelled, or as a test says."""
        assert at_once
        self.work = work
        await self.breaks.wait()
        raise KeyError("data")

    async def waiting(self) -> Container[str]:
        """None."""
        return ()

    def drain(self) -> None:
        """Remembered."""
        self.drained = True


async def test_runs_that_outlast_the_drain_are_let_go_for_other_workers_and_who_waits_is_told(tmp_path: Path) -> None:
    hosted = Hosted(tmp_path)
    async with hosted.client() as client, asyncio.TaskGroup() as group:
        first = group.create_task(client.post("/flows/Double", json={"inputs": {"wait": True}, "run": "first"}))
        await told(client, "first", "running")
        events = group.create_task(client.get("/runs/first/events"))
        await asyncio.sleep(0)
        await hosted.host.drained(0)
        answer = await first
        assert (answer.status_code, answer.json()["status"], answer.headers["location"]) == (
            202,
            "queued",
            "/runs/first",
        )
        assert (await events).status_code == 200
    assert hosted.runner is not None
    assert hosted.runner.let_go == ["first"]


async def test_the_next_worker_takes_up_what_was_let_go(tmp_path: Path) -> None:
    """Nobody tells it of the run: it looks for itself."""
    before = Hosted(tmp_path)
    async with before.client() as client:
        await client.post("/flows/Double/runs", json={"inputs": {"wait": True}, "run": "first"})
        await told(client, "first", "running")
    after = Hosted(tmp_path)
    after.go.set()
    async with after.client() as client:
        document = await told(client, "first", "succeeded")
    assert document["attempts"] == 2


async def test_a_worker_is_kept_awake_while_it_serves(tmp_path: Path) -> None:
    woken, ended = Event(), Event()

    async def stay_awake(business: Business) -> None:
        await business.busy()
        woken.set()
        await business.idle(60)
        ended.set()

    hosted = Hosted(tmp_path, options=HostOptions(worker="w-1", affine=True), stay_awake=stay_awake)
    async with hosted.client() as client, asyncio.TaskGroup() as group:
        begun = await client.post("/flows/Double/runs", json={"inputs": {"wait": True}})
        assert begun.headers["x-tiergate-affinity"] == "strict w-1"
        await seen(woken.is_set)
        hold = group.create_task(client.get("/hold"))
        await asyncio.sleep(0)
        assert not hold.done()
        hosted.go.set()
        await seen(ended.is_set)
        assert (await hold).json() == {"worker": "w-1", "runs": 0}


async def test_runs_begin_one_by_one_as_the_flows_loop_has_turns(tmp_path: Path) -> None:
    hosted = Hosted(tmp_path)
    async with hosted.client() as client:
        await asyncio.gather(*(client.post("/flows/Double") for _ in range(3)))
        assert hosted.flow_loop.turns == 3


async def test_a_run_that_cannot_be_worked_on_is_said_and_no_trouble_of_the_others(tmp_path: Path) -> None:
    hosted = Hosted(tmp_path)
    async with hosted.client() as client:
        await client.post("/flows/Double/runs", json={"inputs": {"bug": True}, "run": "run-1"})
        await seen(lambda: "run run-1: KeyError: 'cold oven'" in hosted.said)
        assert (await client.post("/flows/Double")).status_code == 200
        assert hosted.host.runs == 0


async def test_its_series_tell_of_runs_and_loops(tmp_path: Path) -> None:
    hosted = Hosted(tmp_path)
    async with hosted.client() as client:
        await client.post("/flows/Double")
        await client.post("/flows/Double", json={"inputs": {"fail": True}})
        await seen(lambda: b'loop="flows"' in hosted.metrics.text() and b'loop="server"' in hosted.metrics.text())
        series: httpx.Response = await client.get("/metrics")
    assert 'tiergate_runs_total{flow="Double",state="succeeded"} 1.0' in series.text
    assert 'tiergate_runs_total{flow="Double",state="failed"} 1.0' in series.text
    assert "tiergate_runs_open 0.0" in series.text
