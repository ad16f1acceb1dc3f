"""The tiers of the local system, made on its emulator as they are made on Runpod: planned, and applied."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from deploy.errors import EmulatorRefused
from deploy.fleet.apply import Applier
from deploy.fleet.calls import Calls, client_of
from deploy.fleet.change import World
from deploy.fleet.control_plane import ControlPlane
from deploy.fleet.desired import desired
from deploy.fleet.plan import make_plan
from deploy.fleet.plan_text import summary
from deploy.fleet.prices import dollars, todays
from deploy.fleet.state import Deployed, FleetState, read_state
from deploy.local.endpoints import IDLE_SECONDS
from tiers.fleet import Deployment, Fleet
from tiers.worker_names import SECRET

NAME = "local"
QUOTA = 60
"""Workers that the emulator's account may have, with the balance that it begins with."""


def on_one_machine(deployment: Deployment) -> Deployment:
    """The deployment as it can be on an emulator: anywhere, cold at first, without secrets that nobody keeps there."""
    env = {name: value for name, value in deployment.env.items() if not SECRET.fullmatch(value)}
    return replace(deployment, data_centers=(), workers_min=0, idle_seconds=IDLE_SECONDS, env=MappingProxyType(env))


def local_fleet(deployments: Sequence[Deployment]) -> Fleet:
    """All of them, as the fleet of one account."""
    return Fleet(name=NAME, quota=QUOTA, deployments=tuple(deployments))


async def deploy(
    deployments: Sequence[Deployment], *, key: str, origin: str, state_file: Path, say: Callable[[str], None]
) -> Mapping[str, Deployed]:
    """Make all of them on the emulator at ``origin``, which has none yet; where each is, by its name in the tier map.

    Raises:
        EmulatorRefused: It did not make all of them.
        ControlPlaneError: It did not answer.
    """
    fleet = local_fleet(deployments)
    _begin(state_file)
    async with client_of(key, trust_env=False) as client:
        plane = ControlPlane(Calls(client, say=say), client, url=origin)
        wanted = desired(fleet, todays(await plane.gpus(), await plane.cpus()))
        world = World(endpoints=await plane.endpoints())
        plan = make_plan(fleet, wanted, world, FleetState())
        say(f"plan: {summary(plan)}; on Runpod it would cost {dollars(plan.hour_max)} an hour at most")
        applier = Applier(plane, state_file, fleet=fleet, names={}, secret=str, say=lambda _: None, drain_seconds=0.0)
        outcome = await applier.run(plan, FleetState())
    if outcome.error is not None:
        raise EmulatorRefused(outcome.error.message, remedy=outcome.error.remedy)
    return read_state(state_file).endpoints


def _begin(state_file: Path) -> None:
    """Every start has an emulator of its own: what an earlier one had is gone."""
    state_file.parent.mkdir(parents=True, exist_ok=True)
    state_file.unlink(missing_ok=True)
