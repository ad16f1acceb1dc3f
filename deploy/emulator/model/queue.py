"""The jobs of one queue endpoint: dispatch, end, expiry, and what becomes of them when their worker dies."""

from heapq import heappop, heappush
from typing import Any

from deploy.emulator.model.endpoint import Endpoint
from deploy.emulator.model.job import CRASHED, Job, JobStatus
from deploy.emulator.model.worker import Worker, WorkerState

RETRIES_MAX = 1
REFUSED_SECONDS = 42.0
"""How long a job without a key in its input is in progress before it fails as if its worker had died."""
_J = JobStatus


def dispatch(endpoint: Endpoint, now: float) -> None:
    """Hand queued jobs to serving workers with room, each to the one with the fewest."""
    while endpoint.queue:
        free = [
            worker
            for worker in endpoint.in_state(WorkerState.RUNNING)
            if worker.serving and len(worker.jobs) < worker.config.concurrency
        ]
        if not free:
            return
        worker = min(free, key=lambda candidate: len(candidate.jobs))
        job = endpoint.jobs[next(iter(endpoint.queue))]
        del endpoint.queue[job.id]
        job.enter(_J.IN_PROGRESS)
        job.started_at = now
        job.worker_id = worker.id
        job.attempt += 1
        worker.jobs[job.id] = None
        worker.free_since = None
        worker.say(now, f"Jobs in progress: {len(worker.jobs)}")


def submit(endpoint: Endpoint, job: Job) -> None:
    """Queue a new job."""
    endpoint.jobs[job.id] = job
    endpoint.queue[job.id] = None
    heappush(endpoint.expiries, (job.expires_at, job.id))


def finish(endpoint: Endpoint, job: Job, now: float, *, error: str | None = None) -> None:
    """A handler has ended: with what it has yielded, or with an error."""
    job.error = error
    _end(endpoint, job, _J.COMPLETED if error is None else _J.FAILED, now)


def cancel(endpoint: Endpoint, job: Job, now: float) -> None:
    """Cancel an open job; one that has ended stays as it is."""
    if job.open:
        _end(endpoint, job, _J.CANCELLED, now)


def retry(endpoint: Endpoint, job: Job, now: float) -> bool:
    """Queue a failed or timed-out job again; whether it could be."""
    if job.status not in {_J.FAILED, _J.TIMED_OUT}:
        return False
    _requeue(endpoint, job, now)
    return True


def purge(endpoint: Endpoint) -> int:
    """Remove the queued jobs; returns how many."""
    removed = len(endpoint.queue)
    for job_id in endpoint.queue:
        endpoint.jobs[job_id].enter(_J.CANCELLED)
        del endpoint.jobs[job_id]
    endpoint.queue.clear()
    return removed


def abandon(endpoint: Endpoint, worker: Worker, now: float) -> None:
    """What becomes of a dead worker's jobs: tried once again, then failed."""
    for job_id in list(worker.jobs):
        job = endpoint.jobs[job_id]
        del worker.jobs[job_id]
        if job.retries >= RETRIES_MAX:
            finish(endpoint, job, now, error=CRASHED)
        else:
            job.retries += 1
            endpoint.counts.retried += 1
            _requeue(endpoint, job, now)


def expire(endpoint: Endpoint, now: float) -> None:
    """Delete what has outlived its ttl or its keeping; end what runs for too long."""
    while endpoint.expiries and endpoint.expiries[0][0] <= now:
        job = endpoint.jobs.get(heappop(endpoint.expiries)[1])
        if job is not None and job.expires_at <= now:
            if job.open:
                _end(endpoint, job, _J.CANCELLED, now)
            del endpoint.jobs[job.id]
    for job in _in_progress(endpoint):
        if _runs_until(endpoint, job) <= now:
            if job.input:
                job.error = "job timed out: execution timeout exceeded"
                _end(endpoint, job, _J.TIMED_OUT, now)
            else:
                job.retries = RETRIES_MAX
                finish(endpoint, job, now, error=CRASHED)


def next_at(endpoint: Endpoint) -> float | None:
    """When the next job expires or has run for too long."""
    due = [_runs_until(endpoint, job) for job in _in_progress(endpoint)]
    while endpoint.expiries:
        at, job_id = endpoint.expiries[0]
        job = endpoint.jobs.get(job_id)
        if job is not None and job.expires_at <= at:
            due.append(at)
            break
        # The job has gone, or lives longer since it was queued again: then a later entry stands for it.
        heappop(endpoint.expiries)
    return min(due, default=None)


def drain(job: Job) -> list[Any]:
    """What the job has yielded since the last call."""
    pieces = job.output[job.drained :]
    job.drained = len(job.output)
    return pieces


def _in_progress(endpoint: Endpoint) -> list[Job]:
    return [endpoint.jobs[job_id] for worker in endpoint.workers.values() for job_id in worker.jobs]


def _runs_until(endpoint: Endpoint, job: Job) -> float:
    own = job.policy.execution_timeout_ms
    most = (endpoint.config.execution_timeout_ms if own is None else own) / 1000
    return (job.started_at or 0.0) + (most if job.input else min(most, REFUSED_SECONDS))


def _requeue(endpoint: Endpoint, job: Job, now: float) -> None:
    job.enter(_J.IN_QUEUE)
    job.queued_at = now
    job.started_at = job.ended_at = job.worker_id = job.error = None
    job.output = []
    job.drained = 0
    endpoint.queue[job.id] = None


def _end(endpoint: Endpoint, job: Job, status: JobStatus, now: float) -> None:
    job.enter(status)
    job.ended_at = now
    heappush(endpoint.expiries, (job.expires_at, job.id))
    if job.webhook:
        endpoint.ended.append(job)
    endpoint.queue.pop(job.id, None)
    if status is _J.COMPLETED:
        endpoint.counts.completed += 1
    elif status in {_J.FAILED, _J.TIMED_OUT}:
        endpoint.counts.failed += 1
    worker = endpoint.workers.get(job.worker_id or "")
    if worker is not None and worker.jobs.pop(job.id, job) is None and worker.serving and not worker.busy:
        worker.free_since = now
