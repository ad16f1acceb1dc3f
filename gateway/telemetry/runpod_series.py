"""Where the time of requests at Runpod went: held for a worker, on the way to one, and at work."""

from collections.abc import Sequence
from typing import Final

from gateway.record import RunpodTrace
from gateway.telemetry.series import CounterFamily, Family, HistogramFamily

_SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0)


class RunpodSeries:
    """The series; ``families`` are all of them, in the order in which they are exposed."""

    def __init__(self) -> None:
        endpoint = ("tier", "endpoint")
        self._requests = CounterFamily(
            "tiergate_runpod_requests_total",
            "Requests by the way that they went at Runpod.",
            (*endpoint, "way", "cold"),
        )
        self._held = HistogramFamily(
            "tiergate_runpod_held_seconds", "Wait for a worker to wake, before a request was sent.", endpoint, _SECONDS
        )
        self._delay = HistogramFamily(
            "tiergate_runpod_worker_delay_seconds", "Queue and cold start of a job, as Runpod says.", endpoint, _SECONDS
        )
        self._execution = HistogramFamily(
            "tiergate_runpod_execution_seconds", "A worker's time for a job, as Runpod says.", endpoint, _SECONDS
        )
        self.families: Sequence[Family] = (self._requests, self._held, self._delay, self._execution)

    def observe(self, tier: str, endpoint: str, trace: RunpodTrace, now: float) -> None:
        """Count a request of ``tier`` that ended at the Unix time ``now``; no ``endpoint`` is one that asked none."""
        where = (tier, endpoint)
        if trace.way:
            cold = "true" if trace.cold else "false"
            self._requests.series((*where, trace.way, cold), now).value += 1
        if trace.held_seconds > 0:
            self._held.series(where, now).observe(trace.held_seconds)
        if trace.worker_delay_seconds is not None:
            self._delay.series(where, now).observe(trace.worker_delay_seconds)
        if trace.execution_seconds is not None:
            self._execution.series(where, now).observe(trace.execution_seconds)
