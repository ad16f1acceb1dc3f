"""Recording rules: the delays of each layer under Runpod's names, and how fast budgets are spent.

Names are ``level:what:how``, as Prometheus' own guide has them. The *GPU layer* is Runpod's endpoints: its delay is a
job's delay time as Runpod tells it and, of requests that went another way, the wait for a worker to wake. The *CPU
layer* is the orchestrator: its delay is what a run waits to be started.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from deploy.watching.promql import PERCENTILES, buckets, percentile

RATE: Final = "5m"
"""Over how long a percentile on a dashboard looks; four scrapes must fit in."""
BURN_HOURS: Final[Mapping[str, float]] = {"5m": 1 / 12, "30m": 0.5, "1h": 1.0, "6h": 6.0}
"""Over how long a budget's burn rate looks → the same in hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A series that Prometheus works out at each evaluation and keeps."""

    name: str
    expr: str

    def rule(self) -> dict[str, str]:
        """As a rule file has it."""
        return {"record": self.name, "expr": self.expr}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One time of one layer: the series with its buckets, and what tells its parts from one another."""

    title: str
    name: str
    by: str

    @property
    def rates(self) -> str:
        """The recorded buckets: observations per second."""
        return f"{self.name}_bucket:rate{RATE}"

    def recorded(self, percent: int) -> str:
        """The name of a recorded percentile."""
        return f"{self.name}:p{percent}_{RATE}"


GPU_DELAY: Final = Layer(title="Delay time", name="tiergate:gpu_delay_seconds", by="tier, endpoint")
GPU_EXECUTION: Final = Layer(title="Execution time", name="tiergate:gpu_execution_seconds", by="tier, endpoint")
GPU_COLD_START: Final = Layer(title="Cold start time", name="tiergate:gpu_cold_start_seconds", by="tier, endpoint")
CPU_DELAY: Final = Layer(title="Delay time", name="tiergate:cpu_delay_seconds", by="flow")
CPU_EXECUTION: Final = Layer(title="Execution time", name="tiergate:cpu_execution_seconds", by="flow")
LAYERS: Final = (GPU_DELAY, GPU_EXECUTION, GPU_COLD_START, CPU_DELAY, CPU_EXECUTION)


def recordings() -> tuple[Recording, ...]:
    """All of them; each comes after those that it is made of."""
    return (*_layers(), *_budgets())


def burn(over: str) -> str:
    """The name of a recorded burn rate: 1 spends a budget in exactly its window."""
    return f"tiergate:budget_burn:rate{over}"


def _layers() -> Iterator[Recording]:
    sources = {
        GPU_DELAY: ("tiergate_runpod_worker_delay_seconds", "tiergate_runpod_held_seconds"),
        GPU_EXECUTION: ("tiergate_runpod_execution_seconds",),
        GPU_COLD_START: ("tiergate_endpoint_wake_seconds",),
        CPU_DELAY: ("tiergate_run_delay_seconds",),
        CPU_EXECUTION: ("tiergate_run_seconds",),
    }
    for layer, histograms in sources.items():
        rates = [buckets(histogram, layer.by, RATE) for histogram in histograms]
        # A sum is where both are; an endpoint that has only one of them is told by that one.
        expr = " or ".join([f"({' + '.join(rates)})", *rates]) if len(rates) > 1 else rates[0]
        yield Recording(name=layer.rates, expr=expr)
        for percent in PERCENTILES:
            yield Recording(name=layer.recorded(percent), expr=percentile(percent, layer.rates))


def _budgets() -> Iterator[Recording]:
    settled = "tiergate:budget_settled:ratio"
    yield Recording(name=settled, expr="max by (budget, unit) (tiergate_budget_settled_ratio)")
    for over, hours in BURN_HOURS.items():
        # A window that ended takes the settled part back to 0: nothing is burnt by that.
        pace = f"clamp_min(delta({settled}[{over}]), 0) / {hours * 3600:g}"
        window = "max by (budget) (tiergate_budget_window_seconds)"
        yield Recording(name=burn(over), expr=f"{pace} * on (budget) group_left () {window}")
