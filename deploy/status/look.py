"""How a fleet's endpoints are seen: each asked for its workers, its releases and its bill."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from deploy.account import Account
from deploy.fleet.answers import DeployedEndpoint, Releases
from deploy.fleet.change import Change, Plan, World
from deploy.fleet.control_plane import ControlPlane
from deploy.fleet.desired import Desired, desired
from deploy.fleet.errors import ControlPlaneMissing
from deploy.fleet.plan import make_plan, recovered
from deploy.fleet.prices import todays
from deploy.fleet.state import FleetState
from deploy.status.fleet_status import EndpointStatus, FleetStatus
from deploy.status.idleness import LOOK_BACK, idleness, moment

DAY: Final = timedelta(hours=24)


async def look(account: Account, now: datetime) -> FleetStatus:
    """The fleet as it is. No worker is woken.

    Raises:
        ControlPlaneError: Runpod does not tell.
    """
    plane, fleet = account.plane, account.fleet
    wanted = desired(fleet, todays(await plane.gpus(), await plane.cpus()))
    world = World(
        endpoints=await plane.endpoints(),
        registries=await plane.registries() if fleet.registry is not None else (),
        volumes=await plane.volumes() if fleet.volume is not None else (),
        secrets=await plane.secrets(),
    )
    state = recovered(account.state, wanted, world)
    plan = make_plan(fleet, wanted, world, state)
    present = _present(world, state)
    # Side by side they would use up the account's 60 calls a minute no later, and a refusal would end all of them.
    seen = [await _endpoint(plane, key, found, plan, now) for key, found in present.items()]
    missing = [_missing(one, plan) for one in wanted if one.key not in present]
    every = sorted([*seen, *missing], key=lambda one: one.key)
    notes = (*plan.notes, *(one.message for one in plan.obstacles))
    return FleetStatus(fleet=fleet.name, endpoints=tuple(every), notes=notes)


def _present(world: World, state: FleetState) -> Mapping[str, DeployedEndpoint]:
    """Ours that are there, by key; one that is to go by its name and id, since its successor has the key."""
    there = {one.id: one for one in world.endpoints}
    found = {key: there[one.id] for key, one in state.endpoints.items() if one.id in there}
    retired = {f"{one.name} ({one.id})": there[one.id] for one in state.retired.values() if one.id in there}
    return {**found, **retired}


async def _endpoint(
    plane: ControlPlane, key: str, found: DeployedEndpoint, plan: Plan, now: datetime
) -> EndpointStatus:
    workers, releases, bill = await asyncio.gather(
        plane.workers(found.id),
        _releases(plane, found.id),
        plane.bill(start=_text(now - LOOK_BACK), bucket="hour", endpoint_id=found.id),
    )
    minimum = int((found.fields.get("workers") or {}).get("min") or 0)
    idle = idleness(bill, created=str(found.fields.get("createdAt") or ""), workers_min=minimum, now=now)
    action, change = _change(plan, key, found.id)
    return EndpointStatus(
        key=key,
        name=found.bare_name,
        id=found.id,
        change=action,
        drift=() if change is None else change.fields,
        workers=workers.summary,
        workers_max=found.workers_max,
        version=workers.endpoint_version if releases is None else releases.endpoint_version,
        rollout=None if releases is None else releases.rollout,
        day_usd=round(sum(each.total_amount for each in bill if moment(each.end_time) > now - DAY), 6),
        warning=idle.warning(workers_max=found.workers_max) if idle is not None else "",
    )


async def _releases(plane: ControlPlane, endpoint_id: str) -> Releases | None:
    try:
        return await plane.releases(endpoint_id)
    except ControlPlaneMissing:  # an edition of the API without them
        return None


def _change(plan: Plan, key: str, endpoint_id: str) -> tuple[str, Change | None]:
    """What the plan does to an endpoint that is there."""
    own = next((each for each in plan.changes if each.kind == "endpoint" and each.id == endpoint_id), None)
    if own is None:
        return "", None
    replaced = any(each.action == "create" and each.key == key for each in plan.changes)
    return ("replace" if replaced and own.action == "delete" else own.action), own


def _missing(one: Desired, plan: Plan) -> EndpointStatus:
    made: Sequence[Change] = [each for each in plan.changes if each.key == one.key and each.action == "create"]
    return EndpointStatus(key=one.key, name=one.name, change=made[0].action if made else "")


def _text(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
