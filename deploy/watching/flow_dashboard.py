"""The dashboard of Flows: where the time of a run goes, layer by layer."""

from deploy.watching.dashboard import Dashboard, Row
from deploy.watching.layer_panels import cpu_panels, gpu_panels
from deploy.watching.panel import Panel, Query
from deploy.watching.promql import PERCENTILES, buckets, percentile


def flow_dashboard() -> Dashboard:
    """The orchestrator's runs, and beside them what their calls wait for."""
    return Dashboard(
        name="flow",
        title="Flows",
        about="Where the time of runs goes: in the orchestrator (CPU layer), in the gateway, or at Runpod (GPU layer).",
        rows=[
            Row(title="Runs", panels=_runs()),
            Row(title="CPU layer: the orchestrator", panels=[*cpu_panels(), *_inside()]),
            Row(title="LLM calls as Flows see them", panels=_calls()),
            Row(title="GPU layer: Runpod's endpoints", panels=gpu_panels()),
        ],
    )


def _runs() -> list[Panel]:
    return [
        Panel(
            title="Runs under way",
            queries=[Query(expr="sum by (instance) (tiergate_runs_open)", legend="{{instance}}")],
            about="By worker",
            stacked=True,
        ),
        Panel(
            title="Runs that came to a rest",
            queries=[
                Query(expr="sum by (flow, state) (increase(tiergate_runs_total[5m]))", legend="{{flow}} {{state}}")
            ],
            about="In five minutes, by where they came to",
        ),
    ]


def _inside() -> list[Panel]:
    return [
        Panel(
            title="Wait for a thread",
            queries=_percentiles("tiergate_executor_wait_seconds", "instance", "{{instance}}"),
            about="Long: more agents at once than there are threads",
            unit="s",
        ),
        Panel(
            title="Late event loops",
            queries=_percentiles("tiergate_event_loop_lag_seconds", "instance, loop", "{{instance}} {{loop}}"),
            about="Late flows with a server in time: an async step blocks",
            unit="s",
        ),
    ]


def _calls() -> list[Panel]:
    return [
        Panel(
            title="Calls",
            queries=[
                Query(
                    expr="sum by (tier, outcome) (rate(tiergate_flow_calls_total[5m]))", legend="{{tier}} {{outcome}}"
                )
            ],
            about="By tier and outcome",
            unit="reqps",
        ),
        Panel(
            title="Layers of a call",
            queries=[
                Query(
                    expr=percentile(90, buckets("tiergate_flow_call_seconds", "tier, layer", "5m")),
                    legend="P90 {{tier}} {{layer}}",
                )
            ],
            about="queue: in the gateway; hold and worker: for a worker at Runpod; tries: earlier attempts; ttft: to "
            "the first token; generation: after it; whole: all of it",
            unit="s",
        ),
    ]


def _percentiles(histogram: str, by: str, legend: str) -> list[Query]:
    rates = buckets(histogram, by, "5m")
    return [Query(expr=percentile(percent, rates), legend=f"P{percent} {legend}") for percent in PERCENTILES]
