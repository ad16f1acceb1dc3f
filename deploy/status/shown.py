"""A fleet's status for people and for programs."""

import json
from dataclasses import asdict

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deploy.fleet.answers import Rollout, WorkerSummary
from deploy.status.fleet_status import EndpointStatus, FleetStatus

_STATES = ("running", "idle", "initializing", "throttled", "unhealthy")


def as_json(status: FleetStatus) -> str:
    """All of it."""
    endpoints = [
        {
            **asdict(one),
            "workers": one.workers.model_dump(),
            "rollout": None if one.rollout is None else one.rollout.model_dump(),
        }
        for one in status.endpoints
    ]
    told = {"fleet": status.fleet, "drifted": status.drifted, "day_usd": status.day_usd, "endpoints": endpoints}
    return json.dumps({**told, "notes": status.notes}, indent=2) + "\n"


def as_text(status: FleetStatus) -> RenderableType:
    """A table, and below it what differs, field by field, and what Runpod is about to do."""
    table = Table("endpoint", "id", "as the map says", "workers", "roll-out", "24 h", title=f"fleet {status.fleet}")
    for one in status.endpoints:
        differs = f"no: {one.change}" if one.change else "yes"
        cost = f"${one.day_usd:.2f}"
        table.add_row(*map(Text, (one.key, one.id or "-", differs, _workers(one), _rollout(one.rollout), cost)))
    lines = [*_drift(status), *(f"{one.key}: {one.warning}" for one in status.endpoints if one.warning), *status.notes]
    if status.drifted:
        lines.append("`tiergate-deploy plan` says what would be done about it")
    lines.append(f"all together cost ${status.day_usd:.2f} in the last 24 hours")
    return Group(table, *map(Text, lines))


def _drift(status: FleetStatus) -> list[str]:
    return [
        f"{one.key}: {change.field} is {change.before}, should be {change.after}"
        for one in status.endpoints
        for change in one.drift
    ]


def _workers(one: EndpointStatus) -> str:
    return f"{_by_state(one.workers)} of {one.workers_max}" if one.id else "-"


def _by_state(workers: WorkerSummary) -> str:
    counts = {state: getattr(workers, state) for state in _STATES}
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "none"


def _rollout(rollout: Rollout | None) -> str:
    if rollout is None:
        return "-"
    return f"{rollout.workers_on_latest} of {rollout.workers_total} workers" if rollout.in_progress else "done"
