"""Makes the changes of a plan, one by one, and leaves a trace of each before and after.

Before a change is begun, the state on the disk says so; after it, that it is done. So whoever comes after an apply that
was stopped, even by a power cut, knows what may have been made. A change whose answer was lost is looked up by its name
before it is made again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.errors import DeployError
from deploy.fleet.answers import DeployedEndpoint
from deploy.fleet.change import Change, Plan
from deploy.fleet.control_plane import ControlPlane
from deploy.fleet.desired import Desired, served_name, url_of
from deploy.fleet.difference import resolved
from deploy.fleet.errors import ControlPlaneError, ControlPlaneLost
from deploy.fleet.resources import LOOKUP_SECONDS, Resources
from deploy.fleet.state import Applying, Deployed, FleetState, Progress, write_state
from tiers.fleet import Fleet
from tiers.tiermap import SecretReference

LOOKUPS = 3
"""How often something is looked for whose making was not answered, before it is made again."""
GATEWAY_SECONDS = 3.0
"""After so long every gateway that watches the state has taken over the new addresses."""
BALANCED_SECONDS = 30.0
"""So long an endpoint behind a load balancer is left to end its requests: nothing tells how many there are."""
_POLL_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How far an apply came. ``error`` is what stopped it."""

    done: tuple[str, ...]
    left: tuple[str, ...]
    error: DeployError | None = None


class Applier:
    """Applies plans to one account."""

    def __init__(
        self,
        plane: ControlPlane,
        state_file: Path,
        *,
        fleet: Fleet,
        names: Mapping[str, str],
        secret: Callable[[SecretReference], str],
        say: Callable[[str], None],
        drain_seconds: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``names`` has the ids of logins and volumes; ``secret`` reads one where it has to be sent to Runpod."""
        self._plane = plane
        self._file = state_file
        self._names = dict(names)
        self._resources = Resources(plane, fleet=fleet, names=self._names, secret=secret, say=say, sleep=sleep)
        self._say = say
        self._drain_seconds = drain_seconds
        self._sleep = sleep
        self._state = FleetState()
        self.done: list[str] = []
        self.left: list[str] = []

    async def run(self, plan: Plan, state: FleetState, *, checksum: str = "") -> Outcome:
        """Make all changes; the first that cannot be made ends it. ``checksum`` is the reviewed plan's."""
        checksum = checksum or plan.checksum
        before = state.applying.changes if state.applying is not None and state.applying.plan == checksum else {}
        progress: dict[str, Progress] = dict(before)
        for change in plan.changes:
            if progress.get(change.label) != "begun":
                progress[change.label] = "left"
        self._keep(replace(state, fleet=plan.fleet, applying=Applying(plan=checksum, changes=progress)))
        self.left = [change.label for change in plan.changes]
        for number, change in enumerate(plan.changes, 1):
            self._say(f"[{number}/{len(plan.changes)}] {change.label} ({change.name})")
            self._keep(self._state.progressed(change.label, "begun"))
            try:
                told = await self._make(change)
            except DeployError as error:
                if not isinstance(error, ControlPlaneLost):
                    self._keep(self._state.progressed(change.label, "left"))
                return Outcome(done=tuple(self.done), left=tuple(self.left), error=error)
            self._keep(self._state.progressed(change.label, "done"))
            self.done.append(change.label)
            self.left.remove(change.label)
            self._say(f"    {told}")
        self._keep(replace(self._state, applying=None))
        return Outcome(done=tuple(self.done), left=())

    async def _make(self, change: Change) -> str:
        match change.kind, change.action:
            case "endpoint", "create":
                return await self._create(change)
            case "endpoint", "update":
                await self._plane.update(change.id, resolved(change.body, self._names))
                kept = next(one for one in self._state.endpoints.values() if one.id == change.id)
                model = served_name(change.body) or kept.model
                self._keep(self._state.with_endpoint(change.key, replace(kept, name=change.name, model=model)))
                return f"changed {change.id}"
            case "endpoint", _:
                await self._drain(change.id)
                await self._plane.delete(change.id)
                self._keep(self._state.without(change.id))
                return f"deleted {change.id}"
            case _:
                return await self._resources.make(change)

    async def _create(self, change: Change) -> str:
        body = resolved(change.body, self._names)
        try:
            made = await self._plane.create(body)
        except ControlPlaneLost:
            self._say(f"    no answer; looking for {change.name}")
            found = await self._look_up(change)
            made = await self._plane.create(body) if found is None else found
        url = url_of(change.key, made.type, made.url)
        model = served_name(change.body)
        deployed = Deployed(id=made.id, name=change.name, type=made.type, url=url, model=model)
        self._keep(self._state.with_endpoint(change.key, deployed))
        return f"made {made.id}: {url}"

    async def _look_up(self, change: Change) -> DeployedEndpoint | None:
        """The endpoint whose making was not answered: it has the name, and is not one that we know."""
        for _ in range(LOOKUPS):
            await self._sleep(LOOKUP_SECONDS)
            for one in await self._plane.endpoints():
                if one.bare_name == change.name and one.type == change.body["type"] and one.id not in self._state.ids:
                    return one
        return None

    async def _drain(self, endpoint_id: str) -> None:
        """Let the requests end that an endpoint still has, once no gateway sends it any more."""
        if self._drain_seconds <= 0:
            return
        await self._sleep(min(GATEWAY_SECONDS, self._drain_seconds))
        try:
            endpoint = await self._plane.endpoint(endpoint_id)
            if endpoint.type == "LOAD_BALANCER":
                await self._sleep(min(BALANCED_SECONDS, self._drain_seconds))
                return
            waited = 0.0
            while waited < self._drain_seconds:
                jobs = (await self._plane.health(endpoint)).jobs
                if not jobs.in_queue + jobs.in_progress:
                    return
                self._say(f"    {endpoint_id} still has {jobs.in_queue + jobs.in_progress} jobs")
                await self._sleep(_POLL_SECONDS)
                waited += _POLL_SECONDS
        except ControlPlaneError as error:
            # An endpoint that nobody can ask keeps nobody from deleting it.
            self._say(f"    {endpoint_id}: {error.message.splitlines()[0]}")

    def _keep(self, state: FleetState) -> None:
        self._state = state
        write_state(self._file, state)


def adopted(state: FleetState, wanted: Desired, found: DeployedEndpoint) -> FleetState:
    """The state with somebody else's endpoint as one of ours: the first apply makes of it what is wanted."""
    url = url_of(wanted.key, found.type, found.url)
    deployed = Deployed(id=found.id, name=found.bare_name, type=found.type, url=url, adopted=True)
    return state.with_endpoint(wanted.key, deployed)
