"""The times of a layer, as Runpod's own dashboard shows them."""

import pytest

from deploy.watching.layer_panels import cpu_panels, gpu_panels
from deploy.watching.panel import Panel

EVERY = [*gpu_panels(), *cpu_panels()]


def test_names_are_those_of_runpods_dashboard() -> None:
    assert [panel.title for panel in gpu_panels()] == [
        "Delay time",
        "Execution time",
        "Cold start time",
        "Cold start count",
    ]
    assert [panel.title for panel in cpu_panels()] == ["Delay time", "Execution time"]


@pytest.mark.parametrize("panel", [each for each in EVERY if each.title.endswith("time")], ids=lambda each: each.about)
def test_percentiles_are_those_of_runpods_dashboard(panel: Panel) -> None:
    assert [query.legend.split()[0] for query in panel.queries] == ["P70", "P90", "P98"]
    assert panel.unit == "s"


def test_each_says_which_layer_it_is_of() -> None:
    assert all(panel.about.startswith("GPU layer: ") for panel in gpu_panels())
    assert all(panel.about.startswith("CPU layer: ") for panel in cpu_panels())


def test_those_of_endpoints_can_be_narrowed_down() -> None:
    narrowed = gpu_panels('tier=~"$tier"')
    assert all('{tier=~"$tier"}' in query.expr for panel in narrowed for query in panel.queries)
