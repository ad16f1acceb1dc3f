"""All checks of a fleet in their order: inference first, orchestration after."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import httpx

from deploy.account import Account
from deploy.fleet.state import Deployed
from deploy.verify.course import Course
from deploy.verify.endpoint_checks import EndpointChecks
from deploy.verify.finding import CheckFailed, Layer, NotAsked
from deploy.verify.gateway_checks import GatewayChecks
from deploy.verify.orchestrator_checks import OrchestratorChecks
from deploy.verify.subject import Subject
from deploy.verify.waiting import Clockwork, Patience
from tiers.fleet import Deployment

CONTROL_PLANE: Final[Layer] = "control plane"
_APPLY = "`tiergate-deploy apply` makes what the tier map wants"


@dataclass(frozen=True, slots=True, kw_only=True)
class Above:
    """What stands above the endpoints, as far as it was named.

    Attributes:
        gateway: Its address; empty where none was named.
        gateway_client: Sends the gateway's key.
        orchestrator: Its address, as ``gateway``.
        orchestrator_client: Sends what its edge and its app ask for.
        flow: A Flow that may be run; empty for none.
        inputs: For that one.
    """

    gateway: str
    gateway_client: httpx.AsyncClient
    orchestrator: str
    orchestrator_client: httpx.AsyncClient
    flow: str = ""
    inputs: object = None


async def verify(account: Account, above: Above, course: Course, patience: Patience, clockwork: Clockwork) -> None:
    """Make all checks; endpoints are asked side by side, since each may have a cold start before it."""

    async def reached() -> Sequence[str]:
        endpoints = await account.plane.endpoints()
        ours = sum(one.id in account.state.ids for one in endpoints)
        return [f"{len(endpoints)} endpoints, {ours} of them ours"]

    reachable = await course.check(CONTROL_PLANE, "", "takes the key", reached)
    deployments = sorted(account.fleet.deployments, key=lambda one: one.key)
    async with asyncio.TaskGroup() as group:
        asked = [
            (one.tier, group.create_task(_endpoint(account, one, course, patience, clockwork, after=reachable)))
            for one in deployments
        ]
    answering = frozenset(tier for tier, task in asked if task.result())
    served = await _gateway(above, course, sorted({one.tier for one in deployments}), answering)
    await _orchestrator(above, course, patience, clockwork, after=served)


async def _endpoint(
    account: Account, one: Deployment, course: Course, patience: Patience, clockwork: Clockwork, *, after: bool
) -> bool:
    deployed = account.state.endpoints.get(one.key)

    async def missing() -> Sequence[str]:
        raise CheckFailed("not_deployed", evidence=["the fleet's state has no such endpoint"], remedy=_APPLY)

    if deployed is None:
        return await course.check("endpoint", one.key, "there", missing, after=after)
    subject = _subject(one, deployed)
    checks = EndpointChecks(subject, account.plane, account.client, patience, clockwork)
    return await checks.run(course, after=after)


def _subject(one: Deployment, deployed: Deployed) -> Subject:
    return Subject(
        key=one.key,
        id=deployed.id,
        type=deployed.type,
        url=deployed.url,
        model=one.model,
        tools=one.tool_parser is not None,
    )


async def _gateway(above: Above, course: Course, tiers: Sequence[str], answering: frozenset[str]) -> bool:
    async def none() -> Sequence[str]:
        raise NotAsked("no gateway named: give --gateway URL, or set TIERGATE_URL")

    if not above.gateway:
        await course.check("gateway", "", "ready", none)
        return bool(answering)
    return await GatewayChecks(above.gateway_client, above.gateway).run(course, tiers, answering=answering)


async def _orchestrator(above: Above, course: Course, patience: Patience, clockwork: Clockwork, *, after: bool) -> None:
    async def none() -> Sequence[str]:
        raise NotAsked("none is deployed, and none named: --orchestrator URL")

    if not above.orchestrator:
        await course.check("orchestrator", "", "/ping", none)
        return
    checks = OrchestratorChecks(above.orchestrator_client, above.orchestrator, patience, clockwork)
    await checks.run(course, flow=above.flow, inputs=above.inputs, after=after)
