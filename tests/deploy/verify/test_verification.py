"""All checks in their order: inference first, orchestration after."""

from typing import Any

import httpx

from deploy.account import Account
from deploy.fleet.state import FleetState
from deploy.verify.course import Course
from deploy.verify.finding import Finding
from deploy.verify.verification import Above, verify
from deploy.verify.waiting import Patience
from tests.deploy.fleet.planes import Plane, Script, endpoint, problem
from tests.deploy.fleet.worlds import fleet
from tests.deploy.verify.clockworks import Clockworks

ENDPOINTS = (200, {"endpoints": [endpoint()]})


async def verified(plane: Plane, *answers: Any, gateway: str = "", orchestrator: str = "") -> list[Finding]:  # noqa: ANN401 - JSON
    """What is found where nothing is deployed yet, above which something answers."""
    found: list[Finding] = []
    async with httpx.AsyncClient(transport=Script(answers)) as client:
        account = Account(fleet=fleet(), state=FleetState(), plane=plane.plane, client=client)
        above = Above(
            gateway=gateway, gateway_client=client, orchestrator=orchestrator, orchestrator_client=client, flow="Triage"
        )
        await verify(account, above, Course(found.append, lambda: 0.0), Patience(), Clockworks().clockwork)
    return found


def told(found: list[Finding]) -> list[tuple[str, str]]:
    """Layer and verdict of each."""
    return [(each.layer, each.verdict) for each in found]


async def test_what_was_not_named_is_not_asked() -> None:
    found = await verified(Plane(ENDPOINTS))
    assert told(found) == [
        ("control plane", "passed"),
        ("endpoint", "failed"),
        ("gateway", "skipped"),
        ("orchestrator", "skipped"),
    ]
    assert found[0].evidence == ("1 endpoints, 0 of them ours",)
    assert found[1].cause == "not_deployed"


async def test_what_is_above_is_asked_whether_it_is_up_and_no_more_while_nothing_answers_below() -> None:
    """No Flow is paid for that could only fail."""
    found = await verified(
        Plane(ENDPOINTS),
        (200, {"ready": True}),
        (200, {"flows": []}),
        gateway="http://gateway.test",
        orchestrator="http://flows.test",
    )
    assert told(found)[2:] == [
        ("gateway", "passed"),
        ("gateway", "skipped"),
        ("orchestrator", "passed"),
        ("Flow", "skipped"),
    ]


async def test_without_the_control_plane_no_endpoint_is_asked() -> None:
    found = await verified(Plane(problem(401, "no")))
    assert told(found)[:2] == [("control plane", "failed"), ("endpoint", "skipped")]
