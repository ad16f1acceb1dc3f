"""Engines and jobs that follow the world."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from deploy.emulator.clock import EmulatedClock
from deploy.emulator.data_plane.conductor import Conductor, conducting
from deploy.emulator.engines.generator import Generator
from deploy.emulator.engines.reply import Call, EngineFailed, Reply
from deploy.emulator.engines.speed import Speed
from deploy.emulator.model.endpoint import Endpoint
from deploy.emulator.model.faults import Faults
from deploy.emulator.model.job import CRASHED, Job, JobStatus
from deploy.emulator.model.worker import Worker, WorkerState
from deploy.emulator.model.world import World
from tests.deploy.emulator.running import CHAT, INSTANT, until
from tests.deploy.emulator.worlds import START, config, endpoint_in, state_of, status_of, world

JOB = {"openai_route": "/v1/chat/completions", "openai_input": CHAT}
FAST = Speed(prefill=1e6, decode=1e6, half_batch=8)


class WatchedEngine(Generator):
    """An engine whose life can be followed and ended."""

    def __init__(self, clock: EmulatedClock) -> None:
        super().__init__(config(), FAST, clock, seed=1)
        self.started = self.stopped = False
        self.fails: str = ""
        self.death: asyncio.Event = asyncio.Event()
        self.reply: Reply | None = None

    async def start(self) -> None:
        """Start, or fail."""
        if self.fails:
            raise EngineFailed(self.fails)
        self.started = True

    async def ended(self) -> str:
        """Wait for its death."""
        await self.death.wait()
        return "out of memory\nkilled"

    async def stop(self) -> None:
        """Note it."""
        self.stopped = True

    async def request(self, call: Call) -> Reply:
        """As the generator, or fail."""
        if self.fails:
            raise EngineFailed(self.fails)
        return self.reply or await super().request(call)


class Stage:
    """A world with its conductor and the engines that it made."""

    def __init__(self) -> None:
        self.world: World = world(instant_engines=False)
        self.clock = EmulatedClock(start=START, speed=200.0)
        self.engines: list[WatchedEngine] = []
        self.fails = ""
        self.told: list[Job] = []
        self.conductor = Conductor(self.world, self.clock, self._make, seed=1, tell_end=self.told.append)

    def endpoint(self, faults: Faults = INSTANT, **changes: object) -> Endpoint:
        """An endpoint with those faults."""
        made = endpoint_in(self.world, config(**({"idle_timeout_seconds": 3600} | changes)), self.clock.now())
        self.world.set_faults(made.id, faults, self.clock.now())
        return made

    def submit(self, endpoint: Endpoint) -> Job:
        """A chat as a job."""
        return self.world.submit(endpoint.id, JOB, self.clock.now())

    async def until(self, job: Job, *statuses: JobStatus) -> None:
        """Wait until a job has come that far."""
        async with asyncio.timeout(5):
            while job.status not in statuses:
                await self.conductor.changed(job)

    def _make(self, worker: Worker) -> WatchedEngine:
        del worker
        engine = WatchedEngine(self.clock)
        engine.fails = self.fails
        self.engines.append(engine)
        return engine


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    async with conducting(made.conductor):
        yield made


async def changes_until(stage: Stage, worker: Worker, state: WorkerState) -> None:
    async with asyncio.timeout(5):
        while worker.state is not state:
            await stage.conductor.changed()


async def test_a_worker_gets_an_engine_and_loses_it(stage: Stage) -> None:
    """Each start has an engine of its own."""
    endpoint = stage.endpoint(idle_timeout_seconds=1)
    job = stage.submit(endpoint)
    await stage.until(job, JobStatus.COMPLETED)
    [engine] = stage.engines
    [worker] = endpoint.workers.values()
    assert stage.conductor.engine_of(worker) is engine
    await changes_until(stage, worker, WorkerState.IDLE)
    await until(lambda: engine.stopped)
    assert stage.conductor.engine_of(worker) is None
    await stage.until(stage.submit(endpoint), JobStatus.COMPLETED)
    assert len(stage.engines) == 2


async def test_an_engine_that_cannot_start_is_a_crash_with_its_words(stage: Stage) -> None:
    stage.fails = "CUDA error: no kernel image"
    endpoint = stage.endpoint(workers_min=1)
    [worker] = endpoint.workers.values()
    await changes_until(stage, worker, WorkerState.UNHEALTHY)
    assert any(line.text == "CUDA error: no kernel image" for line in worker.log)


async def test_an_engine_that_ends_by_itself_is_a_crash(stage: Stage) -> None:
    endpoint = stage.endpoint()
    await stage.until(stage.submit(endpoint), JobStatus.COMPLETED)
    [worker] = endpoint.workers.values()
    stage.engines[0].death.set()
    await changes_until(stage, worker, WorkerState.UNHEALTHY)
    assert "out of memory" in [line.text for line in worker.log]


async def test_an_engine_that_does_not_answer_costs_the_job_its_worker(stage: Stage) -> None:
    endpoint = stage.endpoint()
    first = stage.submit(endpoint)
    await stage.until(first, JobStatus.COMPLETED)
    stage.engines[0].fails = "no answer"
    job = stage.submit(endpoint)
    await stage.until(job, JobStatus.COMPLETED)
    assert job.retries == 1
    assert len(stage.engines) == 2


async def test_a_worker_that_dies_in_every_attempt_fails_the_job(stage: Stage) -> None:
    endpoint = stage.endpoint(Faults(pull_seconds=0.0, load_seconds=0.0, crash_in_job=True))
    job = stage.submit(endpoint)
    await stage.until(job, JobStatus.FAILED)
    assert job.error == CRASHED


async def test_a_stuck_job_goes_on_until_its_timeout(stage: Stage) -> None:
    endpoint = stage.endpoint(Faults(pull_seconds=0.0, load_seconds=0.0, stuck_jobs=True), timeout_ms=5000)
    job = stage.submit(endpoint)
    await stage.until(job, JobStatus.TIMED_OUT)
    assert job.output == []


async def test_an_answer_that_is_no_json_fails_the_job_as_the_sdk_would(stage: Stage) -> None:
    endpoint = stage.endpoint()
    await stage.until(stage.submit(endpoint), JobStatus.COMPLETED)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"oops"

    stage.engines[0].reply = Reply(status=200, content_type="application/json", pieces=pieces())  # type: ignore[arg-type]
    job = stage.submit(endpoint)
    await stage.until(job, JobStatus.FAILED)
    assert job.error is not None
    assert "ValueError" in job.error


async def test_a_cancelled_jobs_work_is_left(stage: Stage) -> None:
    endpoint = stage.endpoint()
    await stage.until(stage.submit(endpoint), JobStatus.COMPLETED)

    begun, left = asyncio.Event(), asyncio.Event()

    async def never() -> AsyncIterator[bytes]:
        begun.set()
        try:
            await asyncio.get_running_loop().create_future()
            yield b""
        finally:
            left.set()

    stage.engines[0].reply = Reply(status=200, content_type="text/event-stream", pieces=never())  # type: ignore[arg-type]
    job = stage.submit(endpoint)
    async with asyncio.timeout(5):
        await begun.wait()
    stage.world.cancel(job, stage.clock.now())
    async with asyncio.timeout(5):
        await left.wait()
    assert status_of(job) is JobStatus.CANCELLED
    assert job.output == []


async def test_the_end_of_a_job_with_a_webhook_is_told_once(stage: Stage) -> None:
    endpoint = stage.endpoint()
    silent = stage.submit(endpoint)
    job = stage.world.submit(endpoint.id, JOB, stage.clock.now(), webhook="http://127.0.0.1/told")
    await stage.until(silent, JobStatus.COMPLETED)
    await until(lambda: stage.told == [job])
    await stage.until(stage.submit(endpoint), JobStatus.COMPLETED)  # much is looked at again meanwhile
    assert stage.told == [job]


async def test_time_goes_on_by_itself_also_where_only_money_runs_out(stage: Stage) -> None:
    endpoint = stage.endpoint(workers_min=1)
    [worker] = endpoint.workers.values()
    await changes_until(stage, worker, WorkerState.RUNNING)
    next(iter(stage.world.accounts.values())).balance_usd = 0.0
    async with asyncio.timeout(5):
        while state_of(worker) is not WorkerState.STOPPED:
            await stage.conductor.changed()


async def test_its_end_stops_every_engine_and_job() -> None:
    made = Stage()
    async with conducting(made.conductor):
        endpoint = made.endpoint(Faults(pull_seconds=0.0, load_seconds=0.0))
        await made.until(made.submit(endpoint), JobStatus.COMPLETED)
    assert [engine.stopped for engine in made.engines] == [True]
    assert made.world.listeners == []
