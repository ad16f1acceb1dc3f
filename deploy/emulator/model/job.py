"""One job of a queue endpoint: a state machine as a table, its policy, its output."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

TTL_MS = 86_400_000
ASYNC_KEPT_SECONDS = 1800.0
SYNC_KEPT_SECONDS = 60.0
CRASHED = "job timed out after 1 retries"
"""What a job's error says when its worker died twice, which has little to do with time."""


class JobStatus(StrEnum):
    """Where a job is in its life."""

    IN_QUEUE = "IN_QUEUE"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"


_J = JobStatus
EDGES: Mapping[JobStatus, frozenset[JobStatus]] = MappingProxyType(
    {
        _J.IN_QUEUE: frozenset({_J.IN_PROGRESS, _J.CANCELLED, _J.FAILED}),
        _J.IN_PROGRESS: frozenset({_J.IN_QUEUE, _J.COMPLETED, _J.FAILED, _J.CANCELLED, _J.TIMED_OUT}),
        _J.COMPLETED: frozenset(),
        _J.FAILED: frozenset({_J.IN_QUEUE}),
        _J.CANCELLED: frozenset(),
        _J.TIMED_OUT: frozenset({_J.IN_QUEUE}),
    }
)
"""Status → the ones that may follow it; back to the queue by a platform retry or by ``/retry``."""
OPEN = frozenset({_J.IN_QUEUE, _J.IN_PROGRESS})


class ImpossibleJobTransition(Exception):
    """A job was to go where its table has no edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a job asked for itself; ``None`` is the endpoint's or the platform's default."""

    execution_timeout_ms: int | None = None
    ttl_ms: int = TTL_MS
    low_priority: bool = False


@dataclass(slots=True, kw_only=True, eq=False)
class Job:
    """One job. Its endpoint changes it; others only read.

    Attributes:
        id: Its id.
        endpoint_id: Whose job it is.
        input: What was sent as ``input``.
        policy: Its own timeouts.
        sync: Whether it came by ``/runsync`` or the OpenAI route: its result is kept for less long.
        webhook: Where its end is told, or empty.
        created_at: When it came.
        queued_at: When it was queued for this attempt.
        started_at: When this attempt began.
        ended_at: When it ended.
        status: Where it is in its life.
        worker_id: The worker of this attempt.
        output: What its handler yielded, in order.
        drained: How many of these ``/stream`` has handed out.
        error: Why it failed.
        retries: How often the platform tried it again.
        attempt: How often it was begun.
    """

    id: str
    endpoint_id: str
    input: Mapping[str, Any]
    policy: Policy
    sync: bool
    created_at: float
    queued_at: float
    webhook: str = ""
    started_at: float | None = None
    ended_at: float | None = None
    status: JobStatus = JobStatus.IN_QUEUE
    worker_id: str | None = None
    output: list[Any] = field(default_factory=list)
    drained: int = 0
    error: str | None = None
    retries: int = 0
    attempt: int = 0

    @property
    def open(self) -> bool:
        """Whether it has not ended."""
        return self.status in OPEN

    @property
    def expires_at(self) -> float:
        """When it is deleted, whatever it does then: its ttl covers queue and run, and its result is kept so long."""
        ttl = self.created_at + self.policy.ttl_ms / 1000
        if self.ended_at is None:
            return ttl
        return min(ttl, self.ended_at + (SYNC_KEPT_SECONDS if self.sync else ASYNC_KEPT_SECONDS))

    def enter(self, status: JobStatus) -> None:
        """Go to another status.

        Raises:
            ImpossibleJobTransition: The table has no such edge.
        """
        if status not in EDGES[self.status]:
            raise ImpossibleJobTransition(f"job {self.id}: {self.status} → {status}")
        self.status = status

    def answer(self, now: float) -> dict[str, Any]:
        """The job as ``/status`` tells it; what does not apply is left out."""
        told: dict[str, Any] = {}
        begun = self.started_at
        if begun is not None:
            told["delayTime"] = round((begun - self.queued_at) * 1000)
            if not self.open:
                told["executionTime"] = round(((self.ended_at or now) - begun) * 1000)
        if self.error is not None:
            told["error"] = self.error
        told["id"] = self.id
        if self.status is JobStatus.COMPLETED:
            told["output"] = self.output
        if self.retries:
            told["retries"] = self.retries
        told["status"] = self.status.value
        if self.worker_id is not None:
            told["workerId"] = self.worker_id
        return told
