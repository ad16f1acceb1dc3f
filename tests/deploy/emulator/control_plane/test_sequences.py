"""Whatever is asked in whatever order: the world stays consistent, and every answer is one that Runpod describes."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.emulator.model.faults import Faults
from deploy.emulator.model.worker import WorkerState
from tests.deploy.emulator.control_plane.rig import BALANCED, QUEUE, Rig

CREATES = st.builds(
    lambda base, more: base | more,
    st.sampled_from([QUEUE, BALANCED]),
    st.fixed_dictionaries(
        {},
        optional={
            "workers": st.fixed_dictionaries({}, optional={"min": st.integers(0, 3), "max": st.integers(0, 6)}),
            "flashboot": st.sampled_from(["OFF", "FLASHBOOT", "SOMETIMES"]),
            "dataCenterIds": st.lists(st.sampled_from(["EU-RO-1", "US-TX-3", "MARS-1"]), max_size=2),
            "timeout": st.integers(0, 600_000),
            "gpu": st.just({"pools": ["AMPERE_80", "ADA_80_PRO"], "count": 2}),
        },
    ),
)
PATCHES = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["a", "b", ""]),
        "image": st.sampled_from(["registry.example/a:1", "registry.example/a:2", "registry.example/flows:none"]),
        "env": st.dictionaries(st.sampled_from(["A", "B"]), st.sampled_from(["1", "2"])),
        "workers": st.fixed_dictionaries(
            {}, optional={"min": st.integers(0, 3), "max": st.integers(0, 6), "idleTimeout": st.integers(0, 60)}
        ),
        "scaling": st.sampled_from(
            [{"type": "QUEUE_DELAY", "queueDelay": 1}, {"type": "REQUEST_COUNT", "requestCount": 1}]
        ),
        "gpu": st.sampled_from([{"count": 1}, {"pools": ["ADA_24"]}, {"minCudaVersion": "13.0"}]),
        "type": st.just("QUEUE"),
    },
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), CREATES),
        st.tuples(st.just("patch"), PATCHES),
        st.tuples(st.sampled_from(["delete", "read", "workers", "releases", "submit", "break", "mend"]), st.just({})),
        st.tuples(st.just("wait"), st.sampled_from([1, 30, 300, 90_000, 400_000])),
    ),
    min_size=3,
    max_size=14,
)


class Visitor:
    """Asks for one thing after the other; always about the endpoint that is next in turn."""

    def __init__(self, rig: Rig, api: httpx.AsyncClient) -> None:
        self.rig = rig
        self.api = api
        self.known: dict[str, dict[str, Any]] = {}
        self._turns = 0

    def _next(self) -> str:
        self._turns += 1
        return list(self.known)[self._turns % len(self.known)] if self.known else "none"

    async def step(self, what: str, detail: Any) -> None:  # noqa: ANN401 - a body, or seconds
        """Do one thing."""
        id_ = self._next()
        path = f"/v2/serverless/{id_}"
        now = self.rig.clock.now()
        match what:
            case "create":
                answer = await self.api.post("/v2/serverless", json=detail)
                assert answer.status_code in {201, 400, 422}
                if answer.status_code == 201:
                    self.known[answer.json()["id"]] = answer.json()
            case "patch":
                answer = await self.api.patch(path, json=detail)
                assert answer.status_code in {200, 400, 404, 422}
                if answer.status_code == 200:
                    self.known[id_] = answer.json()
            case "delete":
                answer = await self.api.delete(path)
                assert answer.status_code == (204 if self.known.pop(id_, None) else 404)
            case "wait":
                self.rig.move(detail)
            case "submit" if id_ in self.known and self.known[id_]["type"] == "QUEUE":
                self.rig.world.submit(id_, {"prompt": "hi"}, now)
            case "break" | "mend" if id_ in self.known:
                self.rig.world.set_faults(id_, Faults(crash_loop=what == "break"), now)
            case "read" | "workers" | "releases":
                answer = await self.api.get(path if what == "read" else f"{path}/{what}")
                assert answer.status_code == (200 if id_ in self.known else 404)

    async def check(self) -> None:
        """What is told is what is there."""
        told = {one["id"]: one for one in (await self.api.get("/v2/serverless")).json()["endpoints"]}
        assert set(told) == set(self.known) == set(self.rig.world.endpoints)
        for id_, endpoint in self.rig.world.endpoints.items():
            # Idle days may have cut its workers; nothing else changes by itself.
            assert {**told[id_], "workers": None} == {**self.known[id_], "workers": None}
            assert told[id_]["workers"]["max"] <= self.known[id_]["workers"]["max"]
            workers = (await self.api.get(f"/v2/serverless/{id_}/workers")).json()
            summary = workers["summary"]
            assert summary.pop("total") == sum(summary.values()) == len(workers["workers"])
            current = [worker for worker in workers["workers"] if not worker["isStale"]]
            assert len(current) <= endpoint.config.workers_max
            assert all(worker.state is not WorkerState.STOPPED for worker in endpoint.workers.values())
            releases = (await self.api.get(f"/v2/serverless/{id_}/releases")).json()
            versions = [release["version"] for release in releases["releases"]]
            assert versions == list(range(endpoint.version, 0, -1))
            assert (
                sum(release["workerCount"] for release in releases["releases"]) == releases["rollout"]["workersTotal"]
            )
        total = sum(endpoint.config.workers_max for endpoint in self.rig.world.endpoints.values())
        assert total <= self.rig.mine.workers_max
        templates = (await self.api.get("/v2/templates")).json()["templates"]
        assert len(templates) == len(self.known)
        billed = (await self.api.get("/v2/billing/serverless", params={"bucketSize": "week"})).json()["metadata"]
        now = self.rig.clock.now()
        assert billed["totals"]["totalAmount"] == pytest.approx(self.rig.world.ledger.bill(now).dollars, rel=1e-6)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all sequences."""
    with asyncio.Runner() as made:
        yield made


@given(steps=STEPS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_sequence_of_calls_leaves_a_consistent_world(runner: asyncio.Runner, steps: list[tuple[str, Any]]) -> None:
    async def play() -> None:
        rig = Rig()
        async with rig.in_memory() as api:
            visitor = Visitor(rig, api)
            for what, detail in steps:
                await visitor.step(what, detail)
            await visitor.check()

    runner.run(play())
