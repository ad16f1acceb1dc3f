"""Jobs in their queue."""

import pytest

from deploy.emulator.model.endpoint import Endpoint
from deploy.emulator.model.errors import UnknownJob
from deploy.emulator.model.faults import Faults
from deploy.emulator.model.job import CRASHED, JobStatus, Policy
from deploy.emulator.model.queue import drain
from deploy.emulator.model.world import World
from tests.deploy.emulator.worlds import START, config, endpoint_in, status_of, world

JOB = {"prompt": "hi"}
WARM = START + 100


def warm(**changes: object) -> tuple[World, Endpoint]:
    """A world whose endpoint has a worker that serves from ``WARM`` on."""
    made = world()
    endpoint = endpoint_in(made, config(workers_min=1, **changes))
    made.set_faults(endpoint.id, Faults(pull_seconds=1.0, load_seconds=1.0), START)
    made.advance(WARM)
    return made, endpoint


def test_jobs_go_to_the_worker_with_the_fewest_and_wait_where_all_are_full() -> None:
    made, endpoint = warm(env={"MAX_CONCURRENCY": "2"}, workers_max=1)
    jobs = [made.submit(endpoint.id, JOB, WARM) for _ in range(3)]
    assert [job.status for job in jobs] == [JobStatus.IN_PROGRESS, JobStatus.IN_PROGRESS, JobStatus.IN_QUEUE]
    made.finish(jobs[0], WARM + 1)
    assert jobs[2].status is JobStatus.IN_PROGRESS
    assert endpoint.counts.completed == 1


def test_a_job_of_low_priority_starts_no_worker() -> None:
    made = world()
    endpoint = endpoint_in(made)
    made.submit(endpoint.id, JOB, START, policy=Policy(low_priority=True))
    made.advance(START + 60)
    assert endpoint.workers == {}


def test_a_job_that_runs_for_too_long_is_timed_out() -> None:
    made, endpoint = warm()
    job = made.submit(endpoint.id, JOB, WARM, policy=Policy(execution_timeout_ms=5000))
    made.advance(WARM + 4.9)
    assert status_of(job) is JobStatus.IN_PROGRESS
    made.advance(WARM + 5)
    assert status_of(job) is JobStatus.TIMED_OUT
    assert endpoint.in_progress == 0
    assert made.retry(job, WARM + 6)
    assert (job.status, job.attempt) == (JobStatus.IN_PROGRESS, 2)


def test_the_endpoints_timeout_holds_where_the_job_has_none() -> None:
    made, endpoint = warm(timeout_ms=7000)
    job = made.submit(endpoint.id, JOB, WARM)
    made.advance(WARM + 7)
    assert status_of(job) is JobStatus.TIMED_OUT


def test_a_job_is_deleted_at_its_ttl_even_while_it_runs() -> None:
    made, endpoint = warm()
    job = made.submit(endpoint.id, JOB, WARM, policy=Policy(ttl_ms=10_000))
    made.advance(WARM + 10)
    with pytest.raises(UnknownJob):
        made.job(endpoint.id, job.id)
    assert status_of(job) is JobStatus.CANCELLED
    assert endpoint.in_progress == 0


def test_results_are_forgotten() -> None:
    made, endpoint = warm()
    job = made.submit(endpoint.id, JOB, WARM, sync=True)
    made.finish(job, WARM + 1)
    made.advance(WARM + 60)
    assert made.job(endpoint.id, job.id) is job
    made.advance(WARM + 61)
    with pytest.raises(UnknownJob):
        made.job(endpoint.id, job.id)


def test_a_job_that_is_queued_again_outlives_its_first_end() -> None:
    made, endpoint = warm()
    job = made.submit(endpoint.id, JOB, WARM, policy=Policy(execution_timeout_ms=86_400_000))
    made.finish(job, WARM + 1, error="broken")
    made.retry(job, WARM + 1000)
    made.advance(WARM + 2000)
    assert made.job(endpoint.id, job.id) is job
    made.finish(job, WARM + 2100)
    made.advance(WARM + 2100 + 1800)
    with pytest.raises(UnknownJob):
        made.job(endpoint.id, job.id)


def test_only_a_job_in_progress_can_be_finished() -> None:
    made = world()
    endpoint = endpoint_in(made)
    job = made.submit(endpoint.id, JOB, START)
    made.finish(job, START + 1)
    assert job.status is JobStatus.IN_QUEUE


def test_a_job_whose_worker_dies_is_tried_once_again_then_failed() -> None:
    """Its delay time is that of the last attempt, and its error has little to do with time."""
    made, endpoint = warm(workers_max=1)
    job = made.submit(endpoint.id, JOB, WARM)
    [worker] = endpoint.workers.values()
    made.engine_died(worker, WARM + 5, "exit code 137")
    assert (job.status, job.retries, job.worker_id) == (JobStatus.IN_QUEUE, 1, None)
    made.advance(WARM + 30)
    assert status_of(job) is JobStatus.IN_PROGRESS
    assert job.queued_at == WARM + 5
    made.engine_died(worker, WARM + 40, "exit code 137")
    assert (job.status, job.error) == (JobStatus.FAILED, CRASHED)
    assert endpoint.health()["jobs"] == {"completed": 0, "failed": 1, "inProgress": 0, "inQueue": 0, "retried": 1}


def test_a_job_without_a_key_in_its_input_fails_as_if_its_worker_had_died() -> None:
    made, endpoint = warm()
    job = made.submit(endpoint.id, {}, WARM)
    made.advance(WARM + 41)
    assert status_of(job) is JobStatus.IN_PROGRESS
    made.advance(WARM + 42)
    assert (job.status, job.error, job.retries) == (JobStatus.FAILED, "job timed out after 1 retries", 1)


def test_cancelling_ends_an_open_job_alone() -> None:
    made, endpoint = warm()
    job = made.submit(endpoint.id, JOB, WARM)
    made.cancel(job, WARM + 1)
    assert status_of(job) is JobStatus.CANCELLED
    made.finish(job, WARM + 2)
    assert status_of(job) is JobStatus.CANCELLED, "what its handler says afterwards does not count"
    done = made.submit(endpoint.id, JOB, WARM + 2)
    made.finish(done, WARM + 3)
    made.cancel(done, WARM + 4)
    assert status_of(done) is JobStatus.COMPLETED
    assert not made.retry(done, WARM + 4)


def test_purging_removes_queued_jobs_alone() -> None:
    made, endpoint = warm(env={"MAX_CONCURRENCY": "1"}, workers_max=1)
    first, second, third = [made.submit(endpoint.id, JOB, WARM) for _ in range(3)]
    assert made.purge(endpoint.id, WARM + 1) == 2
    assert status_of(first) is JobStatus.IN_PROGRESS
    assert set(endpoint.jobs) == {first.id}
    assert {second.status, third.status} == {JobStatus.CANCELLED}


def test_a_stream_hands_out_what_came_since_the_last_time() -> None:
    made, endpoint = warm()
    job = made.submit(endpoint.id, JOB, WARM)
    made.yielded(job, ["a", "b"])
    assert drain(job) == ["a", "b"]
    assert drain(job) == []
    made.yielded(job, ["c"])
    assert drain(job) == ["c"]
    made.finish(job, WARM + 1)
    assert job.answer(WARM + 1)["output"] == ["a", "b", "c"]
