"""Series of Runpod endpoints' workers: how awake an endpoint is, and what waking it takes.

An endpoint that several tiers have counts for each of them.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from gateway.telemetry.series import CounterFamily, Family, GaugeFamily, HistogramFamily
from tiers.warmth import Sample, State

_SECONDS: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, 1200.0)


class Warmth(Protocol):
    """What is shown of one Runpod endpoint, as this process knows it."""

    sample: Sample | None
    waiting: int
    wakes: int
    woken: int

    @property
    def state(self) -> State:
        """How awake it is."""

    @property
    def woken_seconds(self) -> Sequence[float]:
        """How long the latest of its wakes took."""


class WarmthSeries:
    """The series; ``families`` are all of them, in the order in which they are exposed."""

    def __init__(self) -> None:
        endpoint = ("tier", "endpoint")
        self._states = GaugeFamily(
            "tiergate_endpoint_warmth_state",
            "Processes for which a Runpod endpoint is in this state.",
            (*endpoint, "state"),
            adds_up=True,
        )
        self._workers = GaugeFamily(
            "tiergate_endpoint_workers",
            "Workers of a Runpod endpoint, as its health address said last.",
            (*endpoint, "state"),
        )
        self._jobs = GaugeFamily(
            "tiergate_endpoint_jobs",
            "Jobs of a Runpod endpoint, as its health address said last.",
            (*endpoint, "state"),
        )
        self._held = GaugeFamily(
            "tiergate_endpoint_held_calls", "Calls that wait for a worker to wake.", endpoint, adds_up=True
        )
        self._wakes = CounterFamily(
            "tiergate_endpoint_wakes_total", "How often the gateway began to wake an endpoint.", endpoint
        )
        self._seconds = HistogramFamily(
            "tiergate_endpoint_wake_seconds", "From the call that wakes an endpoint to a worker.", endpoint, _SECONDS
        )
        self._announced = CounterFamily(
            "tiergate_announced_tiers_total",
            "Tiers announced ahead of requests, by what became of it.",
            ("tier", "state"),
        )
        self.families: Sequence[Family] = (
            self._states, self._workers, self._jobs, self._held, self._wakes, self._seconds, self._announced,
        )  # fmt: skip
        self._seen: dict[tuple[str, str], tuple[Warmth, int, int]] = {}

    def measure(self, endpoints: Iterable[tuple[str, str, Warmth]], now: float) -> None:
        """Take note of all Runpod endpoints - tier, endpoint and what is known - at the Unix time ``now``."""
        for family in (self._states, self._workers, self._jobs, self._held):
            family.clear()
        for tier, endpoint, warmth in endpoints:
            where = (tier, endpoint)
            for state in State:
                self._states.set((*where, state.value), float(state is warmth.state))
            self._held.set(where, warmth.waiting)
            self._show(where, warmth.sample)
            self._count(where, warmth, now)

    def announced(self, tier: str, state: str, now: float) -> None:
        """A tier was announced, at the Unix time ``now``; it is empty where there is no such tier."""
        self._announced.series((tier, state), now).value += 1

    def _show(self, where: tuple[str, str], sample: Sample | None) -> None:
        if sample is None:
            return
        for name in ("idle", "initializing", "ready", "running", "throttled", "unhealthy"):
            self._workers.set((*where, name), getattr(sample, name))
        for name in ("in_queue", "in_progress"):
            self._jobs.set((*where, name), getattr(sample, name))

    def _count(self, where: tuple[str, str], warmth: Warmth, now: float) -> None:
        known, seen, wakes = self._seen.get(where, (None, 0, 0))
        if known is not warmth:  # an endpoint that came, or came back: it counts from 0
            seen = wakes = 0
        self._wakes.series(where, now).value += warmth.wakes - wakes
        new = min(warmth.woken - seen, len(warmth.woken_seconds))
        distribution = self._seconds.series(where, now)
        for seconds in list(warmth.woken_seconds)[len(warmth.woken_seconds) - new :]:
            distribution.observe(seconds)
        self._seen[where] = (warmth, warmth.woken, warmth.wakes)
