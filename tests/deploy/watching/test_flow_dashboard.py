"""The dashboard of Flows."""

from pathlib import Path

from deploy.watching.flow_dashboard import flow_dashboard
from tests.deploy.watching.drawn import check_promql, check_series


def test_it_shows_what_is_exposed_and_nothing_else(tmp_path: Path) -> None:
    check_series(flow_dashboard())
    check_promql(flow_dashboard(), tmp_path)


def test_both_layers_stand_in_one_place() -> None:
    """Which of them is slow is seen without another page."""
    titles = [row.title for row in flow_dashboard().rows]
    assert [title for title in titles if "layer" in title] == [
        "CPU layer: the orchestrator",
        "GPU layer: Runpod's endpoints",
    ]
