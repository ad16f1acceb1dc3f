"""What is told of the orchestrator, as Prometheus works it out."""

from pathlib import Path

from deploy.watching.cpu_alerts import cpu_alerts
from tests.deploy.watching.promtool import Case, check, covered, needs_promtool

FLOW = {"flow": "Triage"}
DELAY = 'tiergate_run_delay_seconds_bucket{{flow="Triage", le="{}"}}'
THREADS = 'tiergate_executor_wait_seconds_bucket{{instance="o", le="{}"}}'
LAG = 'tiergate_event_loop_lag_seconds_bucket{{instance="o", loop="flows", le="{}"}}'
FAILED = 'tiergate_runs_total{flow="Triage", state="failed"}'
GOOD = 'tiergate_runs_total{flow="Triage", state="succeeded"}'


def waits(short: str, long: str) -> dict[str, str]:
    """Runs that wait for a second at most, and for half a minute to a whole one."""
    return {DELAY.format("1.0"): short, DELAY.format("30.0"): short, DELAY.format("60.0"): long,
            DELAY.format("+Inf"): long}  # fmt: skip


CASES = [
    Case(
        promise="runs wait for a minute since half an hour; before they did not",
        alert="TiergateCpuDelayRising",
        series=waits("0+2x120 240+0x40", "0+2x160"),
        after="150m",
        fires=FLOW,
    ),
    Case(
        promise="runs begin at once",
        alert="TiergateCpuDelayRising",
        series=waits("0+2x160", "0+2x160"),
        after="150m",
        fires=None,
    ),
    Case(
        promise="blocking steps wait for threads",
        alert="TiergateOrchestratorBusy",
        series={THREADS.format("1.0"): "0+0x40", THREADS.format("2.5"): "0+9x40", THREADS.format("+Inf"): "0+9x40"},
        after="30m",
        fires={"instance": "o"},
    ),
    Case(
        promise="a step blocks the loop of Flows",
        alert="TiergateOrchestratorBusy",
        series={LAG.format("0.5"): "0+0x40", LAG.format("1.0"): "0+9x40", LAG.format("+Inf"): "0+9x40"},
        after="30m",
        fires={"instance": "o", "loop": "flows"},
    ),
    Case(
        promise="loops are in time",
        alert="TiergateOrchestratorBusy",
        series={LAG.format("0.001"): "0+9x40", LAG.format("+Inf"): "0+9x40"},
        after="30m",
        fires=None,
    ),
    Case(
        promise="half of the runs fail",
        alert="TiergateRunsFail",
        series={FAILED: "0+0.5x60", GOOD: "0+0.5x60"},
        after="50m",
        fires=FLOW,
    ),
    Case(
        promise="one of a hundred runs fails",
        alert="TiergateRunsFail",
        series={FAILED: "0+0.1x60", GOOD: "0+10x60"},
        after="50m",
        fires=None,
    ),
]


@needs_promtool
def test_each_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_each_is_shown_firing_and_silent() -> None:
    assert covered(CASES) == {alert.name: {True, False} for alert in cpu_alerts()}
