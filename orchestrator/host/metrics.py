"""What a worker tells of itself, for Prometheus. Labels are Flows, tiers and fixed words: never a run, never a text."""

import asyncio
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

LAG_LOOK_SECONDS: Final = 0.05
"""How often each event loop is asked how late it is."""
_SHORT: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0)
_LONG: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


class HostMetrics:
    """The series of one worker, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._runs_open = Gauge("tiergate_runs_open", "Runs under way in this worker", registry=self._registry)
        self._runs_ended = Counter(
            "tiergate_runs_total",
            "Runs that this worker brought to a rest, by where they came to",
            ["flow", "state"],
            registry=self._registry,
        )
        self._run_seconds = Histogram(
            "tiergate_run_seconds",
            "From a run's first start to its end",
            ["flow"],
            buckets=_LONG,
            registry=self._registry,
        )
        self._run_delay = Histogram(
            "tiergate_run_delay_seconds",
            "From a run's coming to its first start",
            ["flow"],
            buckets=_LONG,
            registry=self._registry,
        )
        self._lag = Histogram(
            "tiergate_event_loop_lag_seconds",
            "How late each event loop is",
            ["loop"],
            buckets=_SHORT,
            registry=self._registry,
        )
        self._executor_wait = Histogram(
            "tiergate_executor_wait_seconds",
            "How long blocking steps and agents' calls waited for a thread",
            buckets=_SHORT,
            registry=self._registry,
        )
        self._calls = Counter(
            "tiergate_flow_calls_total", "LLM calls of Flows", ["tier", "outcome"], registry=self._registry
        )
        self._call_seconds = Histogram(
            "tiergate_flow_call_seconds",
            "Layers of LLM calls: queue, hold, worker, tries (what the gateway says of each), ttft, generation, whole",
            ["tier", "layer"],
            buckets=_LONG,
            registry=self._registry,
        )

    def text(self) -> bytes:
        """All series, as Prometheus reads them."""
        return generate_latest(self._registry)

    def runs_open(self, count: Callable[[], float]) -> None:
        """Have ``tiergate_runs_open`` tell this count."""
        self._runs_open.set_function(count)

    def run_rested(self, flow: str, state: str, seconds: float | None, *, delay: float = 0.0) -> None:
        """A run came to a rest in this worker; ``seconds`` where it ended, after a wait of ``delay``."""
        self._runs_ended.labels(flow, state).inc()
        if seconds is not None:
            self._run_seconds.labels(flow).observe(seconds)
            self._run_delay.labels(flow).observe(delay)

    def executor_wait(self, seconds: float) -> None:
        """A step waited so long for a thread."""
        self._executor_wait.observe(seconds)

    def call_ended(self, tier: str, outcome: str) -> None:
        """An LLM call ended, ``ok`` or ``failed``."""
        self._calls.labels(tier, outcome).inc()

    def call_layer(self, tier: str, layer: str, seconds: float) -> None:
        """So long was one layer of a call."""
        self._call_seconds.labels(tier, layer).observe(seconds)

    async def watch_lag(self, loop_name: str) -> None:
        """Tell how late the running loop is, until cancelled."""
        clock = asyncio.get_running_loop().time
        series = self._lag.labels(loop_name)
        while True:
            due = clock() + LAG_LOOK_SECONDS
            await asyncio.sleep(LAG_LOOK_SECONDS)
            series.observe(max(clock() - due, 0.0))
