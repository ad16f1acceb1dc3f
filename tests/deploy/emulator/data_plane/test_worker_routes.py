"""The side of Runpod that workers see; ``tests/acceptance/crewai/test_batch.py`` has it with a real worker."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette

from deploy.emulator.data_plane.worker_routes import WorkerRoutes, worker_environment
from deploy.emulator.engines.job_taker import JobTaker


class OneWorker:
    """A conductor with one worker, or none."""

    def __init__(self, taker: JobTaker | None) -> None:
        self._taker = taker

    def engine_called(self, worker_id: str) -> JobTaker | None:
        """Only worker-1 is known."""
        return self._taker if worker_id == "worker-1" else None


class QuickTaker(JobTaker):
    """Has one job, and remembers what it is told."""

    def __init__(self) -> None:
        self.jobs: list[dict[str, object]] = [{"id": "job-1", "input": {}}]
        self.heard: list[tuple[str, object]] = []

    async def take(self, most: int) -> list[dict[str, object]]:
        """The job, once."""
        taken, self.jobs = self.jobs[:most], self.jobs[most:]
        return taken

    def told(self, job_id: str, body: object) -> None:
        """Remembered."""
        self.heard.append((job_id, body))


@pytest.fixture
async def sdk() -> AsyncIterator[tuple[httpx.AsyncClient, QuickTaker]]:
    """What a worker's SDK speaks with, and its worker."""
    taker = QuickTaker()
    app = Starlette(routes=WorkerRoutes(OneWorker(taker)).routes())  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://emulator") as client:
        yield client, taker


def path(name: str, worker: str = "worker-1") -> str:
    """Where the SDK asks, its own variables filled in."""
    url = worker_environment("http://emulator", worker)[name]
    return url.replace("$ID", "job-1").replace("$RUNPOD_POD_ID", worker)


async def test_jobs_are_taken_one_by_one_or_several_at_once(sdk: tuple[httpx.AsyncClient, QuickTaker]) -> None:
    client, taker = sdk
    assert (await client.get(path("RUNPOD_WEBHOOK_GET_JOB"))).json() == {"id": "job-1", "input": {}}
    assert (await client.get(path("RUNPOD_WEBHOOK_GET_JOB"))).status_code == 204
    taker.jobs = [{"id": "job-2", "input": {}}, {"id": "job-3", "input": {}}]
    batch = path("RUNPOD_WEBHOOK_GET_JOB").replace("/job-take/", "/job-take-batch/") + "&batch_size=5"
    assert [job["id"] for job in (await client.get(batch)).json()] == ["job-2", "job-3"]


async def test_what_came_out_is_passed_on(sdk: tuple[httpx.AsyncClient, QuickTaker]) -> None:
    client, taker = sdk
    done = path("RUNPOD_WEBHOOK_POST_OUTPUT")
    assert (await client.post(done, content=b'{"output": 1}')).status_code == 200
    assert (await client.post(done, content=b"no json")).status_code == 400
    assert taker.heard == [("job-1", {"output": 1})]


async def test_a_worker_that_is_gone_hears_so(sdk: tuple[httpx.AsyncClient, QuickTaker]) -> None:
    client, _ = sdk
    assert (await client.get(path("RUNPOD_WEBHOOK_PING"))).status_code == 200
    for name in ("RUNPOD_WEBHOOK_PING", "RUNPOD_WEBHOOK_GET_JOB"):
        assert (await client.get(path(name, "worker-2"))).status_code == 404
    assert (await client.post(path("RUNPOD_WEBHOOK_POST_OUTPUT", "worker-2"), content=b"{}")).status_code == 404
