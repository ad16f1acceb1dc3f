"""A plan that somebody has looked at."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.errors import BadUsage
from deploy.fleet.change import Change, Plan
from deploy.fleet.difference import FieldChange
from deploy.fleet.plan_file import PlanOutdated, check_reviewed, plan_json, read_plan
from deploy.fleet.state import Applying, FleetState

A = Change(
    action="create", kind="endpoint", key="a/0", name="acme-a-0", body={"env": {"A": "ä"}, "workers": {"max": 3}}
)
B = Change(
    action="update",
    kind="endpoint",
    key="b/0",
    name="acme-b-0",
    id="e1",
    body={"timeout": 1},
    fields=(FieldChange(field="timeout", before="0", after="1"),),
    before="abc",
)
PLAN = Plan(fleet="acme", changes=(A, B), notes=("n",), hour_max=5, quota=9, workers=3)
NONE = FleetState()


def stopped(**changes: str) -> FleetState:
    """After an apply of the plan that was stopped."""
    told = {"create endpoint a/0": changes["a"], "update endpoint b/0": changes["b"]}
    return FleetState(applying=Applying(plan=PLAN.checksum, changes=told))  # type: ignore[arg-type]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(plan_json(PLAN), encoding="utf-8")
    assert read_plan(file) == PLAN


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"fleet": 1, "checksum": "x"}'])
def test_what_is_no_plan_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(text)
    with pytest.raises(BadUsage, match="is no plan"):
        read_plan(file)
    with pytest.raises(BadUsage, match="cannot read"):
        read_plan(tmp_path / "none.json")


def test_a_plan_that_was_changed_by_hand_is_refused(tmp_path: Path) -> None:
    told = json.loads(plan_json(PLAN))
    told["changes"][0]["body"]["workers"]["max"] = 30
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(told))
    with pytest.raises(BadUsage, match="its checksum is another"):
        read_plan(file)


def test_just_what_was_reviewed_may_be_done() -> None:
    check_reviewed(PLAN, PLAN, NONE)
    check_reviewed(PLAN, replace(PLAN, changes=()), NONE)


def test_anything_else_may_not() -> None:
    more = replace(PLAN, changes=(A, B, replace(A, key="c/0")))
    with pytest.raises(PlanOutdated, match="create endpoint c/0 was not in it"):
        check_reviewed(PLAN, more, NONE)
    other = replace(PLAN, changes=(A, replace(B, before="def")))
    with pytest.raises(PlanOutdated, match="changed since"):
        check_reviewed(PLAN, other, NONE)
    less = replace(PLAN, changes=(B,))
    with pytest.raises(PlanOutdated, match="create endpoint a/0 is no longer needed"):
        check_reviewed(PLAN, less, NONE)
    with pytest.raises(PlanOutdated, match="is no longer needed"):
        check_reviewed(PLAN, less, stopped(a="left", b="left"))


@pytest.mark.parametrize("progress", ["done", "begun"])
def test_what_a_stopped_apply_has_left_may_be_done(progress: str) -> None:
    """What was begun may have been made."""
    check_reviewed(PLAN, replace(PLAN, changes=(B,)), stopped(a=progress, b="left"))
