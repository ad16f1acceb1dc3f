"""Workers' lives: start, load, serve, scale down, fail, be replaced."""

import pytest

from deploy.emulator.model.endpoint import Endpoint
from deploy.emulator.model.faults import Faults
from deploy.emulator.model.job import Job, JobStatus
from deploy.emulator.model.worker import Worker, WorkerState
from deploy.emulator.model.world import World
from tests.deploy.emulator.worlds import START, balanced, config, endpoint_in, state_of, status_of, world

JOB = {"prompt": "hi"}
QUICK = Faults(pull_seconds=20.0, load_seconds=60.0)


def cold(made: World, endpoint: Endpoint, faults: Faults = QUICK) -> tuple[Job, Worker]:
    """A job that has just come to an endpoint without workers, and the worker that is started for it."""
    made.set_faults(endpoint.id, faults, START)
    job = made.submit(endpoint.id, JOB, START)
    [worker] = endpoint.workers.values()
    return job, worker


def test_a_cold_start_pulls_then_loads_then_serves() -> None:
    """The pull is not billed, the load is; the job waits for both, and its delay time says so."""
    made = world()
    endpoint = endpoint_in(made)
    job, worker = cold(made, endpoint)
    made.advance(START + 19)
    assert (worker.state, job.status) == (WorkerState.INITIALIZING, JobStatus.IN_QUEUE)
    made.advance(START + 20)
    assert (worker.state, worker.serving, job.status) == (WorkerState.RUNNING, False, JobStatus.IN_QUEUE)
    assert endpoint.health()["workers"]["ready"] == 1, "ready does not prove that an engine is up"
    made.advance(START + 80)
    assert (worker.serving, job.status) == (True, JobStatus.IN_PROGRESS)
    assert job.answer(START + 80)["delayTime"] == 80_000
    assert made.ledger.bill(START + 80).seconds == 60


def test_a_worker_that_has_nothing_to_do_is_scaled_down_after_its_idle_timeout() -> None:
    made = world()
    endpoint = endpoint_in(made)
    job, worker = cold(made, endpoint)
    made.finish(job, START + 100)
    made.advance(START + 109.9)
    assert state_of(worker) is WorkerState.RUNNING
    made.advance(START + 110)
    assert state_of(worker) is WorkerState.IDLE
    assert made.ledger.bill(START + 400).seconds == 90, "load, work and idle timeout are billed, resting is not"
    made.advance(START + 110 + 300)
    assert state_of(worker) is WorkerState.STOPPED
    assert endpoint.workers == {}
    assert made.worker(endpoint.id, worker.id) is worker, "its log can still be read"


@pytest.mark.parametrize(("flashboot", "ready", "quick"), [("FLASHBOOT", 1, True), ("OFF", 0, False)])
def test_a_resting_worker_is_revived_without_a_pull(flashboot: str, ready: int, quick: bool) -> None:
    """With FlashBoot within seconds, and meanwhile it counts as ready."""
    made = world()
    endpoint = endpoint_in(made, config(flashboot=flashboot))
    job, worker = cold(made, endpoint)
    made.finish(job, START + 100)
    made.advance(START + 120)
    assert endpoint.health()["workers"] | {"idle": 1, "ready": ready} == endpoint.health()["workers"]
    second = made.submit(endpoint.id, JOB, START + 120)
    assert state_of(worker) is WorkerState.RUNNING
    made.advance(START + 124)
    assert (second.status is JobStatus.IN_PROGRESS) is quick
    made.advance(START + 200)
    assert second.worker_id == worker.id


def test_after_a_time_the_host_still_has_the_image() -> None:
    made = world()
    endpoint = endpoint_in(made)
    job, _ = cold(made, endpoint, Faults(load_seconds=60.0))
    made.advance(START + 200)
    made.finish(job, START + 200)
    made.advance(START + 1000)
    assert endpoint.workers == {}
    second = made.submit(endpoint.id, JOB, START + 1000)
    made.advance(START + 1060)
    assert status_of(second) is JobStatus.IN_PROGRESS


def test_a_minimum_of_workers_never_rests() -> None:
    made = world()
    endpoint = endpoint_in(made, config(workers_min=1))
    made.advance(START + 5000)
    assert [worker.state for worker in endpoint.workers.values()] == [WorkerState.RUNNING]


def test_without_capacity_workers_are_throttled_until_there_is_some() -> None:
    made = world()
    endpoint = endpoint_in(made)
    job, worker = cold(made, endpoint, Faults(no_capacity=True))
    made.advance(START + 300)
    assert state_of(worker) is WorkerState.THROTTLED
    assert endpoint.health()["workers"]["throttled"] == 1
    assert made.ledger.bill(START + 300).seconds == 0
    made.set_faults(endpoint.id, QUICK, START + 300)
    assert state_of(worker) is WorkerState.INITIALIZING
    made.advance(START + 380)
    assert status_of(job) is JobStatus.IN_PROGRESS


def test_a_resting_worker_without_capacity_is_throttled_too() -> None:
    made = world()
    endpoint = endpoint_in(made)
    job, worker = cold(made, endpoint)
    made.finish(job, START + 100)
    made.set_faults(endpoint.id, Faults(no_capacity=True), START + 120)
    made.submit(endpoint.id, JOB, START + 121)
    assert state_of(worker) is WorkerState.THROTTLED


def test_a_crash_loop_burns_money_and_shows_as_unhealthy() -> None:
    made = world()
    endpoint = endpoint_in(made)
    job, worker = cold(made, endpoint, Faults(crash_loop=True, pull_seconds=1.0, load_seconds=30.0))
    made.advance(START + 31)
    assert (worker.state, worker.failures) == (WorkerState.UNHEALTHY, 1)
    assert endpoint.health()["workers"]["unhealthy"] == 1
    made.advance(START + 41)
    assert state_of(worker) is WorkerState.INITIALIZING
    made.advance(START + 600)
    assert worker.failures > 3
    assert status_of(job) is JobStatus.IN_QUEUE
    assert made.ledger.bill(START + 600).seconds >= 90
    assert any("Engine core initialization failed" in line.text for line in worker.log)
    made.set_faults(endpoint.id, QUICK, START + 600)
    made.advance(START + 1400)
    assert status_of(job) is JobStatus.IN_PROGRESS
    assert worker.failures == 0


def test_a_worker_that_crashes_without_capacity_is_throttled() -> None:
    made = world()
    endpoint = endpoint_in(made)
    _, worker = cold(made, endpoint, Faults(crash_loop=True, no_capacity=False, pull_seconds=1.0, load_seconds=1.0))
    made.advance(START + 2)
    made.set_faults(endpoint.id, Faults(no_capacity=True), START + 3)
    made.advance(START + 12)
    assert state_of(worker) is WorkerState.THROTTLED


def test_an_unhealthy_worker_is_given_up_after_seven_days() -> None:
    made = world()
    endpoint = endpoint_in(made, config(workers_max=1))
    _, worker = cold(made, endpoint, Faults(crash_loop=True, pull_seconds=1.0, load_seconds=1.0))
    made.advance(START + 7 * 86_400 + 400)
    assert state_of(worker) is WorkerState.STOPPED


@pytest.mark.parametrize(
    ("faults", "init", "state"),
    [
        (Faults(pull_seconds=500.0, load_seconds=1.0), {}, WorkerState.UNHEALTHY),
        (Faults(pull_seconds=1.0, load_seconds=540.0), {}, WorkerState.UNHEALTHY),
        (Faults(pull_seconds=1.0, load_seconds=540.0), {"RUNPOD_INIT_TIMEOUT": "600"}, WorkerState.RUNNING),
    ],
)
def test_a_cold_start_over_its_limit_makes_a_worker_unhealthy(
    faults: Faults, init: dict[str, str], state: WorkerState
) -> None:
    made = world()
    endpoint = endpoint_in(made, config(env=init))
    _, worker = cold(made, endpoint, faults)
    made.advance(START + 420)
    assert state_of(worker) is state


def test_an_engine_that_never_says_that_it_is_up_runs_into_the_same_limit() -> None:
    made = world(instant_engines=False)
    endpoint = endpoint_in(made)
    _, worker = cold(made, endpoint)
    made.advance(START + 419)
    assert worker.loading
    made.advance(START + 420)
    assert state_of(worker) is WorkerState.UNHEALTHY


def test_a_real_engine_serves_when_it_is_up_but_not_before_its_load_time() -> None:
    made = world(instant_engines=False)
    endpoint = endpoint_in(made)
    job, worker = cold(made, endpoint)
    made.engine_up(worker, START + 30)
    assert not worker.serving
    made.advance(START + 80)
    assert status_of(job) is JobStatus.IN_PROGRESS
    second = endpoint_in(made, config(name="late"), START + 100)
    made.set_faults(second.id, QUICK, START + 100)
    made.submit(second.id, JOB, START + 100)
    [late] = second.workers.values()
    made.engine_up(late, START + 200)
    assert late.serving


def test_a_load_balancing_worker_on_wrong_ports_is_kept_for_eight_minutes() -> None:
    made = world()
    endpoint = endpoint_in(made, balanced(workers_min=1, ports=()))
    made.set_faults(endpoint.id, QUICK, START)
    made.advance(START + 200)
    assert endpoint.health()["workers"]["ready"] == 0
    assert endpoint.health()["workers"]["running"] == 1
    [worker] = endpoint.workers.values()
    made.advance(worker.since + 479)
    assert state_of(worker) is WorkerState.RUNNING
    made.advance(worker.since + 480)
    assert state_of(worker) is WorkerState.UNHEALTHY


def test_a_new_image_replaces_free_workers_at_once_and_busy_ones_when_they_are_done() -> None:
    made = world()
    endpoint = endpoint_in(made, config(workers_min=2, env={"MAX_CONCURRENCY": "1"}))
    made.set_faults(endpoint.id, QUICK, START)
    made.advance(START + 100)
    job = made.submit(endpoint.id, JOB, START + 100)
    busy = endpoint.workers[job.worker_id or ""]
    made.update_endpoint(endpoint.id, config(workers_min=2, image="other"), START + 110)
    assert state_of(busy) is WorkerState.OUTDATED
    assert [worker.version for worker in endpoint.workers.values()] == [1, 2, 2]
    assert endpoint.version == 2
    made.advance(START + 150)
    assert state_of(busy) is WorkerState.OUTDATED
    made.finish(job, START + 160)
    assert state_of(busy) is WorkerState.STOPPED


def test_an_outdated_worker_that_dies_is_gone() -> None:
    made = world()
    endpoint = endpoint_in(made)
    job, worker = cold(made, endpoint)
    made.advance(START + 100)
    made.update_endpoint(endpoint.id, config(image="other"), START + 110)
    made.engine_died(worker, START + 120, "killed")
    assert state_of(worker) is WorkerState.STOPPED
    assert (job.status, job.retries) == (JobStatus.IN_QUEUE, 1)


def test_a_lower_maximum_takes_the_least_useful_workers_first() -> None:
    made = world()
    endpoint = endpoint_in(made, config(workers_min=3, env={"MAX_CONCURRENCY": "1"}))
    made.set_faults(endpoint.id, QUICK, START)
    made.advance(START + 100)
    job = made.submit(endpoint.id, JOB, START + 100)
    settings = config(workers_min=1, workers_max=1, env={"MAX_CONCURRENCY": "1"})
    made.update_endpoint(endpoint.id, settings, START + 101)
    assert list(endpoint.workers) == [job.worker_id]
    made.update_endpoint(endpoint.id, config(workers_max=0, env={"MAX_CONCURRENCY": "1"}), START + 102)
    assert endpoint.workers[job.worker_id or ""].state is WorkerState.OUTDATED
    assert status_of(job) is JobStatus.IN_PROGRESS


def test_only_the_latest_stopped_workers_are_kept() -> None:
    made = world()
    endpoint = endpoint_in(made, config(workers_min=1))
    for number in range(60):
        made.update_endpoint(endpoint.id, config(workers_min=1, image=f"v{number}"), START + number)
    assert len(endpoint.gone) == 50
