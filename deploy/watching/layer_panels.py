"""Panels that show a layer's times as Runpod's own dashboard does: by its names, at its percentiles."""

from deploy.watching.panel import Panel, Query
from deploy.watching.promql import PERCENTILES, chosen
from deploy.watching.recordings import CPU_DELAY, CPU_EXECUTION, GPU_COLD_START, GPU_DELAY, GPU_EXECUTION, Layer

_GPU_LEGEND = "{{endpoint}}"
_CPU_LEGEND = "{{flow}}"


def gpu_panels(matcher: str = "") -> tuple[Panel, ...]:
    """Those of Runpod's endpoints; ``matcher`` narrows them down, as ``tier=~"$tier"``."""
    return (
        _percentiles(GPU_DELAY, matcher, _GPU_LEGEND, "GPU layer: a job's wait in Runpod's queue and for a cold start"),
        _percentiles(GPU_EXECUTION, matcher, _GPU_LEGEND, "GPU layer: a worker's time for a job"),
        _percentiles(GPU_COLD_START, matcher, _GPU_LEGEND, "GPU layer: from the call that wakes it to a worker"),
        Panel(
            title="Cold start count",
            queries=[
                Query(
                    expr=f"sum by (tier, endpoint) (increase(tiergate_endpoint_wakes_total{chosen(matcher)}[5m]))",
                    legend=_GPU_LEGEND,
                )
            ],
            about="GPU layer: how often an endpoint was woken, in five minutes",
        ),
    )


def cpu_panels() -> tuple[Panel, ...]:
    """Those of the orchestrator."""
    return (
        _percentiles(CPU_DELAY, "", _CPU_LEGEND, "CPU layer: a run's wait to be started"),
        _percentiles(CPU_EXECUTION, "", _CPU_LEGEND, "CPU layer: from a run's start to its end"),
    )


def _percentiles(layer: Layer, matcher: str, legend: str, about: str) -> Panel:
    return Panel(
        title=layer.title,
        queries=[
            Query(expr=f"{layer.recorded(percent)}{chosen(matcher)}", legend=f"P{percent} {legend}")
            for percent in PERCENTILES
        ],
        about=about,
        unit="s",
    )
