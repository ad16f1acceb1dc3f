"""What Prometheus records."""

from pathlib import Path

import yaml

from deploy.watching.recordings import GPU_DELAY, LAYERS, burn, recordings
from deploy.watching.rules import rule_groups
from tests.deploy.watching.promtool import needs_promtool, run

WHERE = 'tier="t", endpoint="e"'


def test_each_comes_after_those_that_it_is_made_of() -> None:
    """Prometheus works a group out from its top to its bottom."""
    seen: set[str] = set()
    for recording in recordings():
        assert not {other.name for other in recordings() if other.name in recording.expr} - seen
        seen.add(recording.name)


def test_every_layer_has_every_percentile() -> None:
    names = {recording.name for recording in recordings()}
    assert {layer.recorded(percent) for layer in LAYERS for percent in (70, 90, 98)} <= names


@needs_promtool
def test_their_values_are_what_they_say(tmp_path: Path) -> None:
    """The delay of an endpoint is told by jobs and by held calls together; burning is nothing when a window ends."""
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": rule_groups("")["groups"][:1]}), encoding="utf-8")
    job, held = "tiergate_runpod_worker_delay_seconds_bucket", "tiergate_runpod_held_seconds_bucket"
    series = {
        f'{job}{{{WHERE}, le="10.0"}}': "0+8x30",
        f'{job}{{{WHERE}, le="+Inf"}}': "0+8x30",
        f'{held}{{{WHERE}, le="10.0"}}': "0+0x30",
        f'{held}{{{WHERE}, le="20.0"}}': "0+2x30",
        f'{held}{{{WHERE}, le="+Inf"}}': "0+2x30",
        f'{job}{{{WHERE}, le="20.0"}}': "0+8x30",
        'tiergate_budget_settled_ratio{budget="b", unit="USD", instance="g"}': "0.4+0.01x10 0+0x20",
        'tiergate_budget_window_seconds{budget="b", instance="g"}': "3600+0x30",
    }
    budget = '{budget="b", unit="USD"}'
    expected = [
        (GPU_DELAY.recorded(70), "20m", f"{{{WHERE}}}", 8.75),
        (GPU_DELAY.recorded(90), "20m", f"{{{WHERE}}}", 15),
        (burn("5m"), "9m", budget, 0.6),
        (burn("5m"), "14m", budget, 0),
    ]
    tests = [
        {"expr": f"round({name}, 0.001)", "eval_time": at, "exp_samples": [{"labels": labels, "value": value}]}
        for name, at, labels, value in expected
    ]
    told = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": tests,
            }
        ],
    }
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(told), encoding="utf-8")
    run("test", "rules", str(tmp_path / "tests.yaml"))
