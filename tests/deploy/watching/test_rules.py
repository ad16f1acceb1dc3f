"""The rule file."""

from pathlib import Path

import pytest
import yaml

from deploy.watching.alert import Alert
from deploy.watching.recordings import Recording, recordings
from deploy.watching.rules import alerts, rule_groups, rules_yaml
from tests.deploy.watching.exposed import problems
from tests.deploy.watching.promtool import needs_promtool, run


@needs_promtool
def test_prometheus_takes_the_file(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(rules_yaml("https://wiki.example.com"), encoding="utf-8")
    assert f"SUCCESS: {len(alerts()) + len(recordings())} rules found" in run("check", "rules", str(file))


@pytest.mark.parametrize("rule", [*alerts(), *recordings()], ids=lambda rule: rule.name)
def test_every_series_and_label_that_is_named_is_exposed(rule: Alert | Recording) -> None:
    summary = rule.summary.replace("$labels.", "").replace(" ", "") if isinstance(rule, Alert) else ""
    assert list(problems(rule.expr, summary)) == []


def test_what_nothing_exposes_is_found() -> None:
    """So that the test above can fail."""
    assert list(problems("sum by (colour) (tiergate_slots)"))
    assert list(problems('tiergate_slots{endpoint="e"}'))
    assert list(problems('tiergate_endpoint_state{state="broken"}'))
    assert list(problems("tiergate_slot"))
    assert list(problems("tiergate_slots", "{{colour}}"))
    assert list(problems("sum by (tier) (tiergate_slots)", "{{tier}}")) == []


def test_the_file_has_every_alert_once() -> None:
    groups = yaml.safe_load(rules_yaml("docs/runbooks"))["groups"]
    assert groups == rule_groups("docs/runbooks")["groups"]
    named = [rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule]
    assert sorted(named) == sorted({alert.name for alert in alerts()})


def test_what_looks_back_over_days_is_seldom_worked_out() -> None:
    intervals = {group["name"]: group.get("interval") for group in rule_groups("")["groups"]}
    assert intervals == {"tiergate-recordings": None, "tiergate-alerts": None, "tiergate-days": "10m"}
