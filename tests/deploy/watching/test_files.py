"""The files for Prometheus and Grafana."""

import json
from pathlib import Path

import pytest

from deploy.errors import BadUsage
from deploy.watching.files import dashboards, monitoring_files, write_files
from deploy.watching.rules import rules_yaml


def test_there_is_a_file_of_rules_and_one_for_each_dashboard(tmp_path: Path) -> None:
    written = write_files(tmp_path / "new", "docs/runbooks")
    assert {str(path.relative_to(tmp_path / "new")) for path in written} == {
        "prometheus/tiergate.rules.yaml",
        *(f"grafana/tiergate-{name}.json" for name in ("fleet", "tier", "flow", "money")),
    }
    for dashboard in dashboards():
        text = (tmp_path / "new" / f"grafana/tiergate-{dashboard.name}.json").read_text(encoding="utf-8")
        assert json.loads(text) == dashboard.drawn()


def test_runbooks_are_linked_wherever_they_are(tmp_path: Path) -> None:
    write_files(tmp_path, "https://wiki.example.com/runbooks/")
    text = (tmp_path / "prometheus/tiergate.rules.yaml").read_text(encoding="utf-8")
    assert text == rules_yaml("https://wiki.example.com/runbooks")
    assert "https://wiki.example.com/runbooks/store-down.md" in text


def test_the_same_is_written_each_time() -> None:
    """So that a change of them is a change of the rules."""
    assert monitoring_files("a") == monitoring_files("a")


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "prometheus").write_text("a file in its place", encoding="utf-8")
    with pytest.raises(BadUsage, match=r"cannot write .*/tiergate\.rules\.yaml"):
        write_files(tmp_path, "docs/runbooks")
