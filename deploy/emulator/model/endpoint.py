"""One endpoint: its configuration and releases, its workers, its queue. What it does with time is in ``step``."""

from dataclasses import dataclass, field
from random import Random

from deploy.emulator.model.bill import Ledger
from deploy.emulator.model.config import EndpointConfig
from deploy.emulator.model.faults import Faults
from deploy.emulator.model.job import Job
from deploy.emulator.model.limits import Gate
from deploy.emulator.model.release import Release
from deploy.emulator.model.scaling import Load
from deploy.emulator.model.worker import Worker, WorkerState


@dataclass(slots=True, kw_only=True, eq=False)
class Counts:
    """How many jobs ended in which way since the endpoint was made."""

    completed: int = 0
    failed: int = 0
    retried: int = 0


@dataclass(slots=True, kw_only=True, eq=False)
class Endpoint:
    """One endpoint. The ``World`` changes it; others only read.

    Attributes:
        id: Its id.
        account_id: Whose it is.
        config: Its present configuration.
        created_at: When it was made.
        version: Its configuration's number, from 1.
        releases: Every version, the oldest first.
        faults: What goes wrong with it on demand.
        workers: Its workers by id, without those that stopped.
        jobs: Its jobs by id, as long as they are kept.
        expiries: When which job may have to be deleted, as a heap.
        queue: The ids of its queued jobs, in order.
        waiting: HTTP requests that wait for a worker (load balancer).
        last_request_at: When it was last asked for something.
        last_scaled_at: When its scaler last added a worker.
        ended: Where jobs with a webhook go when they have ended.
        may_start: Whether the account lets another worker start.
        gone: The latest workers that stopped, for their logs.
        images: The images that its hosts have.
        workers_made: How many workers it has had.
    """

    id: str
    account_id: str
    config: EndpointConfig
    created_at: float
    ledger: Ledger
    random: Random
    instant_engines: bool
    ended: list[Job] = field(default_factory=list)
    may_start: bool = True
    version: int = 1
    releases: list[Release] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)
    workers: dict[str, Worker] = field(default_factory=dict)
    gone: dict[str, Worker] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    queue: dict[str, None] = field(default_factory=dict)
    expiries: list[tuple[float, str]] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    gate: Gate = field(default_factory=Gate)
    waiting: int = 0
    last_request_at: float = 0.0
    last_scaled_at: float = 0.0
    images: set[str] = field(default_factory=set)
    workers_made: int = 0

    def in_state(self, *states: WorkerState) -> list[Worker]:
        """Its workers in one of these states."""
        return [worker for worker in self.workers.values() if worker.state in states]

    @property
    def in_progress(self) -> int:
        """Jobs and HTTP requests that workers are busy with."""
        return sum(len(worker.jobs) + worker.requests for worker in self.workers.values())

    def load(self) -> Load:
        """What its scaler sees; jobs of low priority do not count."""
        queued = [job for job_id in self.queue if not (job := self.jobs[job_id]).policy.low_priority]
        resting = self.in_state(WorkerState.IDLE, WorkerState.OUTDATED)
        return Load(
            queued=len(queued) + self.waiting,
            in_progress=self.in_progress,
            live=len(self.workers) - len(resting),
            oldest_queued_at=queued[0].queued_at if queued else None,
            last_scaled_at=self.last_scaled_at,
        )

    def health(self) -> dict[str, dict[str, int]]:
        """What ``/health`` tells.

        ``ready`` counts containers that are up, also while they load, and workers that FlashBoot holds: it does not
        prove that an engine answers. Behind a load balancer it counts those that pass their health check.
        """
        up = self.in_state(WorkerState.RUNNING, WorkerState.OUTDATED)
        held = self.in_state(WorkerState.IDLE)
        if self.config.type == "LOAD_BALANCER":
            ready = sum(worker.serving and worker.config.routable for worker in up)
            running, idle = len(up), len(held)
        else:
            ready = len(up) + (len(held) if self.config.flashboot != "OFF" else 0)
            running = sum(worker.busy for worker in up)
            idle = len(held) + len(up) - running
        return {
            "jobs": {
                "completed": self.counts.completed,
                "failed": self.counts.failed,
                "inProgress": sum(len(worker.jobs) for worker in self.workers.values()),
                "inQueue": len(self.queue),
                "retried": self.counts.retried,
            },
            "workers": {
                "idle": idle,
                "initializing": len(self.in_state(WorkerState.INITIALIZING)),
                "ready": ready,
                "running": running,
                "throttled": len(self.in_state(WorkerState.THROTTLED)),
                "unhealthy": len(self.in_state(WorkerState.UNHEALTHY)),
            },
        }
