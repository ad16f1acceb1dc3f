"""The page on durable runs names what the code has."""

import re
from dataclasses import fields

from orchestrator.runs.builtin_values import BUILTINS_BY_NAME
from orchestrator.runs.meter import LAYERS, Meter
from tests.docs.markdown import ROOT

TEXT = (ROOT / "docs" / "durable-runs.md").read_text(encoding="utf-8")


def between(mark: str) -> str:
    """What stands between two marks."""
    return TEXT.partition(f"<!-- {mark} -->")[2].partition(f"<!-- /{mark} -->")[0]


def test_it_names_every_type_that_is_kept() -> None:
    assert re.findall(r"`(\w+)`", between("kinds")) == sorted(BUILTINS_BY_NAME)


def test_it_names_every_time_and_count_of_a_run() -> None:
    rows = "".join(line.split("|")[1] for line in between("usage").splitlines() if line.startswith("|"))
    named = [each.name for each in fields(Meter) if not each.name.startswith("_")]
    assert sorted(re.findall(r"`(\w+)`", rows)) == sorted(["seconds", *named, "slowest_layer", "by_step"])


def test_it_names_every_layer_that_can_be_the_slowest() -> None:
    [row] = [line for line in between("usage").splitlines() if line.startswith("| `slowest_layer`")]
    assert set(re.findall(r"`(\w+)`", row.split("|")[2])) - {"cpu_seconds"} == set(LAYERS)
