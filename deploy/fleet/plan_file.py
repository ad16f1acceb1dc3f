"""A plan that somebody has looked at: kept in a file, and held against what would be done now."""

import json
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from deploy.errors import BadUsage, DeployError
from deploy.fleet.change import Plan, as_data, same
from deploy.fleet.state import FleetState


class PlanOutdated(DeployError):
    """What would be done now is not what was looked at."""

    status = 4


def plan_json(plan: Plan) -> str:
    """The plan as a file holds it."""
    return json.dumps(as_data(plan), indent=2, ensure_ascii=False) + "\n"


def read_plan(file: Path) -> Plan:
    """The plan in a file.

    Raises:
        BadUsage: It is none, or was changed by hand.
    """
    remedy = "make it anew with `tiergate-deploy plan --out FILE`"
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadUsage(f"cannot read {file}: {error.strerror}", remedy="check --plan") from error
    except ValueError as error:
        raise BadUsage(f"{file} is no plan", remedy=remedy) from error
    checksum = told.pop("checksum", None) if isinstance(told, dict) else None
    try:
        plan = TypeAdapter(Plan).validate_python(told)
    except ValidationError as error:
        raise BadUsage(f"{file} is no plan of this version", remedy=remedy) from error
    if plan.checksum != checksum:
        raise BadUsage(f"{file} is not the plan that was made: its checksum is another", remedy=remedy)
    return plan


def check_reviewed(reviewed: Plan, now: Plan, state: FleetState) -> None:
    """Make sure that what would be done ``now`` is what was reviewed, or what an apply of it has left.

    Raises:
        PlanOutdated: With the first thing that is otherwise.
    """
    if not now.changes or now.checksum == reviewed.checksum:
        return
    expected = {change.label: change for change in reviewed.changes}
    done = state.applying.changes if state.applying is not None and state.applying.plan == reviewed.checksum else {}
    for change in now.changes:
        if change.label not in expected:
            raise _outdated(f"{change.label} was not in it")
        if not same(change, expected.pop(change.label)):
            raise _outdated(f"{change.label} would now do something else, or to something that was changed since")
    missing = [label for label in expected if done.get(label) not in {"begun", "done"}]
    if missing:
        raise _outdated(f"{missing[0]} is no longer needed")


def _outdated(why: str) -> PlanOutdated:
    return PlanOutdated(
        f"the plan is not what would be done now: {why}", remedy="make a new plan, look at it, and apply that"
    )
