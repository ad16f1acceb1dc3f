"""Alerts on the orchestrator: the CPU layer."""

from typing import Final

from deploy.watching.alert import Alert
from deploy.watching.promql import buckets, counted, percentile, ratio
from deploy.watching.recordings import CPU_DELAY
from deploy.watching.rising import rising

DELAY_SECONDS_MIN: Final = 5
LAG_SECONDS_MAX: Final = 0.5
THREAD_SECONDS_MAX: Final = 1
FAILED_MAX: Final = 0.2
"""The part of runs that may fail."""
FAILED_MIN: Final = 2


def cpu_alerts() -> tuple[Alert, ...]:
    """All of them."""
    failed, ended = _runs('state="failed"'), _runs('state=~"succeeded|failed"')
    return (
        Alert(
            name="TiergateCpuDelayRising",
            expr=rising(CPU_DELAY, seconds_min=DELAY_SECONDS_MIN),
            lasts="10m",
            severity="ticket",
            layer="cpu",
            summary="Delay time rises in the orchestrator: nine in ten runs of {{ $labels.flow }} wait up to "
            "{{ $value | humanizeDuration }} to be started",
            advice="The orchestrator queues: raise workers.max of its CPU endpoint, or how many runs a worker takes at "
            "once. More GPU workers do not help here.",
        ),
        Alert(
            name="TiergateOrchestratorBusy",
            expr=f"{_slow('tiergate_executor_wait_seconds', 'instance')} > {THREAD_SECONDS_MAX} or "
            f"{_slow('tiergate_event_loop_lag_seconds', 'instance, loop')} > {LAG_SECONDS_MAX}",
            lasts="10m",
            severity="ticket",
            layer="cpu",
            summary="The orchestrator at {{ $labels.instance }} is late by {{ $value | humanizeDuration }}",
            advice="Without a label loop: too few threads for so many agents at once. Loop flows: an async step "
            "blocks. Loop server: too few vCPUs.",
        ),
        Alert(
            name="TiergateRunsFail",
            expr=f"{ratio(failed, ended)} > {FAILED_MAX} and {failed} >= {FAILED_MIN}",
            lasts="5m",
            severity="ticket",
            layer="cpu",
            summary="{{ $value | humanizePercentage }} of the runs of {{ $labels.flow }} fail",
            advice="Read the error and the step of a failed run (GET /runs/{run}). Where its calls are "
            "refused, look at the gateway first.",
        ),
    )


def _slow(histogram: str, by: str) -> str:
    return percentile(90, buckets(histogram, by, "10m"))


def _runs(matcher: str) -> str:
    return counted(f"tiergate_runs_total{{{matcher}}}", "flow", "30m")
