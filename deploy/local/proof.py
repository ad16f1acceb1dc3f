"""The proof that what was deployed serves: ``tiergate-deploy verify``, on the local system's own emulator."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.account import Account
from deploy.fleet.calls import Calls, client_of
from deploy.fleet.control_plane import ControlPlane
from deploy.fleet.state import read_state
from deploy.local.deployment import local_fleet
from deploy.verify.course import Course
from deploy.verify.finding import Finding
from deploy.verify.verification import Above, verify
from deploy.verify.waiting import Clockwork, Patience
from tiers.fleet import Deployment


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """Where everything is, and with which keys it is asked.

    Attributes:
        emulator: Its origin; ``key`` is its account's.
        gateway: The gateway's origin.
        flows: Where the orchestrator's paths begin.
    """

    emulator: str
    key: str
    gateway: str
    gateway_key: str
    flows: str


async def prove(
    deployments: Sequence[Deployment],
    proven: Proven,
    *,
    state_file: Path,
    worker_seconds: float,
    say: Callable[[str], None],
) -> tuple[Sequence[Finding], bool]:
    """Verify the fleet from the control plane up to the orchestrator; its findings, and whether nothing failed.

    ``worker_seconds`` is how long a worker may take to come. No Flow is run: the one of this system has just been.

    Raises:
        StateUnreadable: The state of the fleet is none.
    """
    course = Course(lambda _: None, clock := asyncio.get_running_loop().time)
    async with (
        client_of(proven.key, trust_env=False) as account_client,
        client_of(proven.gateway_key, trust_env=False) as gateway_client,
    ):
        account = Account(
            fleet=local_fleet(deployments),
            state=read_state(state_file),
            plane=ControlPlane(Calls(account_client, say=say), account_client, url=proven.emulator),
            client=account_client,
        )
        above = Above(
            gateway=proven.gateway,
            gateway_client=gateway_client,
            orchestrator=proven.flows,
            orchestrator_client=account_client,
        )
        clockwork = Clockwork(clock=clock, sleep=asyncio.sleep, say=say)
        await verify(account, above, course, Patience.of(worker_seconds), clockwork)
    return [finding for finding in course.findings if finding.layer != "Flow"], course.passed
