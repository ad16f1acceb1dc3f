"""The series of a worker."""

import asyncio

from orchestrator.host.metrics import HostMetrics


def test_every_measure_has_its_series() -> None:
    metrics = HostMetrics()
    metrics.runs_open(lambda: 3)
    metrics.run_rested("Triage", "succeeded", 12.0, delay=3.0)
    metrics.run_rested("Triage", "waiting", None)
    metrics.executor_wait(0.02)
    metrics.call_ended("routing", "ok")
    metrics.call_layer("routing", "ttft", 0.2)
    text = metrics.text().decode()
    for line in (
        "tiergate_runs_open 3.0",
        'tiergate_runs_total{flow="Triage",state="succeeded"} 1.0',
        'tiergate_runs_total{flow="Triage",state="waiting"} 1.0',
        'tiergate_run_seconds_sum{flow="Triage"} 12.0',
        'tiergate_run_delay_seconds_sum{flow="Triage"} 3.0',
        "tiergate_executor_wait_seconds_count 1.0",
        'tiergate_flow_calls_total{outcome="ok",tier="routing"} 1.0',
        'tiergate_flow_call_seconds_sum{layer="ttft",tier="routing"} 0.2',
    ):
        assert line in text.splitlines()


async def test_a_loop_that_is_held_up_is_seen() -> None:
    """Of two looks at the loop the second comes late."""
    metrics = HostMetrics()
    watching = asyncio.get_running_loop().create_task(metrics.watch_lag("flows"))
    async with asyncio.timeout(10):
        while b'count{loop="flows"} 1.0' not in metrics.text():  # noqa: ASYNC110 - another task's doing
            await asyncio.sleep(0.01)
    watching.cancel()
