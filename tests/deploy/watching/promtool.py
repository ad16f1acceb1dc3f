"""Prometheus' own test of rules: made-up series in, and out what fires."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.watching.rules import rule_groups

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed (Debian and Ubuntu: the package prometheus)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One world, and what an alert makes of it.

    Attributes:
        promise: What is shown, in words.
        series: Selector → values in Prometheus' notation, one per ``every``.
        after: When it is looked at.
        fires: The labels of what fires then, beside those that the rule itself gives; ``None`` where nothing does.
    """

    promise: str
    alert: str
    series: Mapping[str, str]
    after: str
    fires: Mapping[str, str] | None
    every: str = "1m"


def check(cases: Sequence[Case], folder: Path) -> None:
    """Have promtool test the cases, each with the rules that it needs; fails with what it says."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        groups.setdefault((case.alert, case.every), []).append(case)
    files = []
    for number, ((alert, every), its) in enumerate(groups.items()):
        rules, tests = folder / f"rules-{number}.yaml", folder / f"tests-{number}.yaml"
        rules.write_text(yaml.safe_dump(_rules_for(alert)), encoding="utf-8")
        told = {"rule_files": [rules.name], "evaluation_interval": every, "tests": [_test(case) for case in its]}
        tests.write_text(yaml.safe_dump(told), encoding="utf-8")
        files.append(str(tests))
    run("test", "rules", *files)


def _rules_for(alert: str) -> dict[str, Any]:
    """The alert's own rule, after the recordings that it looks at and those that these are made of."""
    every = [rule for group in rule_groups("docs/runbooks")["groups"] for rule in group["rules"]]
    [needed] = [rule for rule in every if rule.get("alert") == alert]
    rules = [needed]
    for rule in reversed(every):
        if "record" in rule and any(rule["record"] in each["expr"] for each in rules):
            rules.insert(0, rule)
    return {"groups": [{"name": "tested", "rules": rules}]}


def run(*words: str) -> str:
    """What promtool says; fails where its exit status is not 0."""
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _test(case: Case) -> dict[str, Any]:
    own = "alertname, alertstate, layer, severity"
    firing = f'sum without ({own}) (ALERTS{{alertname="{case.alert}", alertstate="firing"}})'
    labels = ", ".join(f'{name}="{value}"' for name, value in (case.fires or {}).items())
    samples = [] if case.fires is None else [{"labels": f"{{{labels}}}", "value": 1}]
    return {
        "name": case.promise,
        "interval": case.every,
        "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
        "promql_expr_test": [{"expr": firing, "eval_time": case.after, "exp_samples": samples}],
    }


def covered(cases: Sequence[Case]) -> Mapping[str, set[bool]]:
    """Alert → whether there is a case in which it fires, and one in which it does not."""
    found: dict[str, set[bool]] = {}
    for case in cases:
        found.setdefault(case.alert, set()).add(case.fires is not None)
    return found
