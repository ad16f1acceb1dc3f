"""How a fleet is seen; over a real emulator in test_command.py."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx

from deploy.account import Account
from deploy.fleet.change import World
from deploy.fleet.state import FleetState
from deploy.status.fleet_status import FleetStatus
from deploy.status.look import look
from tests.deploy.fleet.planes import Plane, Said, problem
from tests.deploy.fleet.worlds import fleet, made

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SUMMARY = {"summary": {"idle": 1, "total": 1}, "endpointVersion": 3}


def bill(usd: float, end: str = "2026-11-23T11:00:00Z") -> dict[str, Any]:
    return {"startTime": "2026-11-23T10:00:00Z", "endTime": end, "totalAmount": usd}


async def looked(world: World, state: FleetState, *answers: Said) -> FleetStatus:
    """What is seen of a fleet with one tier; ``answers`` are of its endpoints, in their order."""
    listed = {"endpoints": [{"id": one.id, "requestUrls": {}, **one.fields} for one in world.endpoints]}
    plane = Plane((200, {"gpus": []}), (200, {"cpus": []}), (200, listed), problem(404, "no"), *answers)
    async with httpx.AsyncClient() as client:
        return await look(Account(fleet=fleet(), state=state, plane=plane.plane, client=client), NOW)


async def test_one_that_is_as_the_map_says_shows_its_workers_and_costs() -> None:
    world, state = made(fleet())
    records = [bill(0.25), bill(0.5), bill(9, "2026-11-20T11:00:00Z")]
    releases = {"endpointVersion": 3, "rollout": {"inProgress": True, "workersOnLatest": 1, "workersTotal": 2}}
    status = await looked(world, state, (200, SUMMARY), (200, releases), (200, {"records": records}))
    [one] = status.endpoints
    assert (one.change, one.drift, one.workers.idle, one.version) == ("", (), 1, 3)
    assert one.day_usd == 0.75
    assert one.rollout is not None
    assert one.rollout.workers_on_latest == 1
    assert one.warning == ""


async def test_drift_is_told_field_by_field() -> None:
    """As where Runpod has paused the endpoint."""
    world, state = made(fleet(), workers={"min": 0, "max": 0, "idleTimeout": 10})
    status = await looked(world, state, (200, SUMMARY), problem(404, "no"), (200, {"records": []}))
    [one] = status.endpoints
    assert one.change == "update"
    assert [(each.field, each.before) for each in one.drift] == [("workers.max", "0")]
    assert one.rollout is None
    assert one.warning.startswith("paused")


async def test_what_is_not_there_is_to_be_made() -> None:
    status = await looked(World(), FleetState())
    assert [(one.key, one.id, one.change) for one in status.endpoints] == [("routing/0", "", "create")]


async def test_what_the_map_has_no_more_is_to_go() -> None:
    world, state = made(fleet())
    moved = replace(state, endpoints={"old/0": state.endpoints["routing/0"]})
    status = await looked(world, moved, (200, SUMMARY), problem(404, "no"), (200, {"records": []}))
    assert {one.key: one.change for one in status.endpoints} == {"old/0": "delete", "routing/0": "create"}


async def test_what_is_retired_is_shown_beside_its_successor() -> None:
    world, state = made(fleet())
    one = state.endpoints["routing/0"]
    answers: list[Said] = [(200, SUMMARY), problem(404, "no"), (200, {"records": []})]
    status = await looked(world, replace(state, endpoints={}, retired={one.id: one}), *answers)
    assert sorted(each.key for each in status.endpoints) == sorted(["routing/0", f"{one.name} ({one.id})"])
