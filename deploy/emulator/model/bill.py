"""Who ran how long, in which state, and for how much: one span per worker and state, one run per container.

A run is billed from its container's start to its full stop, rounded up to the second. Its seconds are counted one by
one, each in the bucket in which it begins, so any buckets that tile a time add up to the bill of that time.
"""

import math
from dataclasses import dataclass

from deploy.emulator.model.catalogue import NANODOLLARS_PER_DOLLAR
from deploy.emulator.model.worker import BILLED, Worker, WorkerState


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """Billed seconds and what they cost. Amounts are nanodollars, as integers: they add up."""

    seconds: int = 0
    gpu_nanodollars: int = 0
    cpu_nanodollars: int = 0
    disk_nanodollars: int = 0

    def __add__(self, other: "Bill") -> "Bill":
        return Bill(
            seconds=self.seconds + other.seconds,
            gpu_nanodollars=self.gpu_nanodollars + other.gpu_nanodollars,
            cpu_nanodollars=self.cpu_nanodollars + other.cpu_nanodollars,
            disk_nanodollars=self.disk_nanodollars + other.disk_nanodollars,
        )

    @property
    def nanodollars(self) -> int:
        """All of it."""
        return self.gpu_nanodollars + self.cpu_nanodollars + self.disk_nanodollars

    @property
    def dollars(self) -> float:
        """All of it, in dollars."""
        return self.nanodollars / NANODOLLARS_PER_DOLLAR


@dataclass(slots=True, kw_only=True)
class Span:
    """One stay of one worker in one state; ``ended_at`` is ``None`` while it lasts."""

    worker_id: str
    endpoint_id: str
    state: WorkerState
    started_at: float
    ended_at: float | None = None


@dataclass(slots=True, kw_only=True)
class Run:
    """One life of one container; ``ended_at`` is ``None`` while it lasts."""

    worker_id: str
    endpoint_id: str
    started_at: float
    gpu_nanodollars_per_second: int
    cpu_nanodollars_per_second: int
    disk_nanodollars_per_second: int
    ended_at: float | None = None

    def seconds(self, now: float) -> int:
        """Billed seconds up to ``now``: the whole run, rounded up."""
        # A millisecond is far above the rounding of floating-point clocks and far below a second.
        return math.ceil(round((now if self.ended_at is None else self.ended_at) - self.started_at, 3))

    def bill(self, now: float, start: float, end: float) -> Bill:
        """The bill of those of its seconds that begin at ``start`` or later and before ``end``."""
        total = self.seconds(now)
        first = 0 if start <= self.started_at else min(total, math.ceil(start - self.started_at))
        last = total if end == math.inf else max(0, min(total, math.ceil(end - self.started_at)))
        seconds = max(0, last - first)
        return Bill(
            seconds=seconds,
            gpu_nanodollars=seconds * self.gpu_nanodollars_per_second,
            cpu_nanodollars=seconds * self.cpu_nanodollars_per_second,
            disk_nanodollars=seconds * self.disk_nanodollars_per_second,
        )


class Ledger:
    """Every span and run of all workers."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.runs: list[Run] = []
        self._spans_open: dict[str, Span] = {}
        self._runs_open: dict[str, Run] = {}
        self._closed: dict[str, int] = {}

    def note(self, worker: Worker, now: float) -> None:
        """Note that ``worker`` has just come into the state that it is in."""
        span = self._spans_open.pop(worker.id, None)
        if span is not None:
            span.ended_at = now
        if worker.state is not WorkerState.STOPPED:
            span = Span(worker_id=worker.id, endpoint_id=worker.endpoint_id, state=worker.state, started_at=now)
            self._spans_open[worker.id] = span
            self.spans.append(span)
        running = worker.id in self._runs_open
        if worker.state in BILLED and not running:
            machine = worker.machine
            run = Run(
                worker_id=worker.id,
                endpoint_id=worker.endpoint_id,
                started_at=now,
                gpu_nanodollars_per_second=machine.gpu_nanodollars_per_second,
                cpu_nanodollars_per_second=machine.cpu_nanodollars_per_second,
                disk_nanodollars_per_second=machine.disk_nanodollars_per_second,
            )
            self._runs_open[worker.id] = run
            self.runs.append(run)
        elif running and worker.state not in BILLED:
            run = self._runs_open.pop(worker.id)
            run.ended_at = now
            amount = run.bill(now, -math.inf, math.inf).nanodollars
            self._closed[run.endpoint_id] = self._closed.get(run.endpoint_id, 0) + amount

    def bill(
        self, now: float, *, endpoint_id: str | None = None, start: float = -math.inf, end: float = math.inf
    ) -> Bill:
        """The bill up to ``now`` of one endpoint or of all, for the seconds that begin in [``start``, ``end``)."""
        total = Bill()
        for run in self.runs:
            if endpoint_id in (None, run.endpoint_id):
                total += run.bill(now, start, end)
        return total

    def spent(self, endpoint_ids: set[str], now: float) -> int:
        """What these endpoints cost up to ``now``, in nanodollars, without reading every run."""
        closed = sum(amount for endpoint_id, amount in self._closed.items() if endpoint_id in endpoint_ids)
        running = (run for run in self._runs_open.values() if run.endpoint_id in endpoint_ids)
        return closed + sum(run.bill(now, -math.inf, math.inf).nanodollars for run in running)

    def seconds_in(self, state: WorkerState, now: float, *, endpoint_id: str | None = None) -> float:
        """How long workers were in ``state`` up to ``now``, summed."""
        return sum(
            (now if span.ended_at is None else span.ended_at) - span.started_at
            for span in self.spans
            if span.state is state and endpoint_id in (None, span.endpoint_id)
        )

    def nanodollars_per_second(self, endpoint_ids: set[str]) -> int:
        """What the containers of these endpoints that are up cost in one second."""
        running = (run for run in self._runs_open.values() if run.endpoint_id in endpoint_ids)
        return sum(run.gpu_nanodollars_per_second + run.cpu_nanodollars_per_second for run in running)
