"""One worker: a state machine as a table, what it runs on, what it does, what it said.

    initializing   is placed on a host and pulls its image; not billed
    throttled      waits for a free GPU; not billed
    running        its container is up: it loads, works, or waits out its idle timeout; billed
    idle           scaled down, its host is kept for a while; not billed
    unhealthy      its container ended or did not come up in time; tried again later; not billed
    outdated       finishes its work for a configuration that was replaced; billed
    stopped        gone

Its endpoint's ``workforce`` moves it.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from deploy.emulator.model.catalogue import Machine
from deploy.emulator.model.config import EndpointConfig

LOG_LINES_MAX = 5000
LogSource = Literal["container", "system"]


class WorkerState(StrEnum):
    """Where a worker is in its life."""

    INITIALIZING = "initializing"
    THROTTLED = "throttled"
    RUNNING = "running"
    IDLE = "idle"
    UNHEALTHY = "unhealthy"
    OUTDATED = "outdated"
    STOPPED = "stopped"


_S = WorkerState
EDGES: Mapping[WorkerState, frozenset[WorkerState]] = MappingProxyType(
    {
        _S.INITIALIZING: frozenset({_S.RUNNING, _S.UNHEALTHY, _S.STOPPED}),
        _S.THROTTLED: frozenset({_S.INITIALIZING, _S.STOPPED}),
        _S.RUNNING: frozenset({_S.IDLE, _S.UNHEALTHY, _S.OUTDATED, _S.STOPPED}),
        _S.IDLE: frozenset({_S.RUNNING, _S.THROTTLED, _S.STOPPED}),
        _S.UNHEALTHY: frozenset({_S.INITIALIZING, _S.THROTTLED, _S.STOPPED}),
        _S.OUTDATED: frozenset({_S.STOPPED}),
        _S.STOPPED: frozenset(),
    }
)
"""State → the states that may follow it."""
BEGINNINGS = frozenset({_S.INITIALIZING, _S.THROTTLED})
BILLED = frozenset({_S.RUNNING, _S.OUTDATED})


class ImpossibleTransition(Exception):
    """A worker was to go where its table has no edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line of a worker's log; ``at`` in seconds of the emulator's clock."""

    at: float
    source: LogSource
    text: str


@dataclass(slots=True, kw_only=True, eq=False)
class Worker:
    """One worker. Its endpoint changes it; others only read.

    Attributes:
        id: Its id.
        endpoint_id: Whose worker it is.
        version: The endpoint version that it runs.
        config: The configuration that it runs.
        machine: What it runs on.
        data_center_id: Where it runs.
        created_at: When it came into being.
        state: Where it is in its life.
        since: When it got there.
        init_started_at: When this cold start began.
        pulled_at: When its image is there.
        started_at: When its container started last; ``None`` before.
        ready_at: When its container has loaded, if its engine is up by then; ``None`` where there is no container.
        engine_up: Whether what runs in the container said that it is up.
        serving: Whether it has loaded: it takes work.
        free_since: Since when it has had nothing to do; ``None`` while it is busy or not serving.
        idle_until: Until when its host is kept while it is scaled down.
        retry_at: When an unhealthy or throttled worker is tried again.
        failures: Cold starts in a row that failed.
        jobs: Ids of the jobs in progress.
        requests: HTTP requests in flight (load balancer).
        log: Its latest lines.
    """

    id: str
    endpoint_id: str
    version: int
    config: EndpointConfig
    machine: Machine
    data_center_id: str
    created_at: float
    state: WorkerState
    since: float
    init_started_at: float
    pulled_at: float | None = None
    started_at: float | None = None
    ready_at: float | None = None
    engine_up: bool = False
    serving: bool = False
    free_since: float | None = None
    idle_until: float | None = None
    retry_at: float | None = None
    failures: int = 0
    jobs: dict[str, None] = field(default_factory=dict)
    requests: int = 0
    log: deque[LogLine] = field(default_factory=lambda: deque(maxlen=LOG_LINES_MAX))

    @property
    def busy(self) -> bool:
        """Whether it works on something."""
        return bool(self.jobs) or self.requests > 0

    @property
    def has_container(self) -> bool:
        """Whether its container is up, so that an engine has to run in it."""
        return self.state in BILLED

    @property
    def loading(self) -> bool:
        """Whether its container is up but takes no work yet."""
        return self.state is WorkerState.RUNNING and not self.serving

    def enter(self, state: WorkerState, now: float) -> None:
        """Go to another state.

        Raises:
            ImpossibleTransition: The table has no such edge.
        """
        if state not in EDGES[self.state]:
            raise ImpossibleTransition(f"worker {self.id}: {self.state} → {state}")
        self.state = state
        self.since = now

    def say(self, now: float, text: str, source: LogSource = "container") -> None:
        """Add a line to its log."""
        self.log.append(LogLine(at=now, source=source, text=text))
