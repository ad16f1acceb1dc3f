"""What endpoints name beside their image: logins for registries, volumes, secrets. Made where there are none yet."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from deploy.fleet.change import Change
from deploy.fleet.control_plane import ControlPlane
from deploy.fleet.desired import REGISTRY, VOLUME
from deploy.fleet.errors import ControlPlaneConflict, ControlPlaneLost
from tiers.fleet import Fleet
from tiers.tiermap import SecretReference

LOOKUP_SECONDS = 2.0
"""What was made without an answer has so long to be there."""


class Resources:
    """Makes them in one account."""

    def __init__(
        self,
        plane: ControlPlane,
        *,
        fleet: Fleet,
        names: dict[str, str],
        secret: Callable[[SecretReference], str],
        say: Callable[[str], None],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        """Ids of what is made are put into ``names``; ``secret`` reads what has to be sent to Runpod."""
        self._plane = plane
        self._fleet = fleet
        self._names = names
        self._secret = secret
        self._say = say
        self._sleep = sleep

    async def make(self, change: Change) -> str:
        """Make it, and say what was made; one whose answer was lost is looked up by its name first."""
        try:
            return await self._make_resource(change)
        except ControlPlaneConflict:
            found = await self._find_resource(change)
            if not found:
                raise
            return f"is there since: {found}"
        except ControlPlaneLost:
            self._say(f"    no answer; looking for {change.name}")
            await self._sleep(LOOKUP_SECONDS)
            found = await self._find_resource(change)
            return f"made {found}" if found else await self._make_resource(change)

    async def _make_resource(self, change: Change) -> str:
        if change.kind == "volume" and change.action == "update":
            grown = await self._plane.grow_volume(change.id, size=change.body["size"])
            return f"changed {grown.id}"
        if change.kind == "volume":
            body: Mapping[str, Any] = change.body
            volume = await self._plane.create_volume(
                name=change.name, size=body["size"], data_center=body["dataCenter"]
            )
            self._names[f"{VOLUME}{change.name}"] = volume.id
            return f"made {volume.id}"
        if change.kind == "secret":
            kept = await self._plane.create_secret(
                name=change.name, value=self._secret(self._fleet.secrets[change.name])
            )
            return f"made {kept.id}"
        login = self._fleet.registry
        assert login is not None and login.username is not None and login.password is not None  # noqa: S101, PT018 - as planned
        made = await self._plane.create_registry(
            name=login.name, username=self._secret(login.username), password=self._secret(login.password)
        )
        self._names[f"{REGISTRY}{change.name}"] = made.id
        return f"made {made.id}"

    async def _find_resource(self, change: Change) -> str:
        """The id of one whose making was not answered; empty where there is none of its name."""
        found: Mapping[str, str] = {}
        if change.kind == "volume":
            found = {one.name: one.id for one in await self._plane.volumes()}
            if change.name in found:
                self._names[f"{VOLUME}{change.name}"] = found[change.name]
        elif change.kind == "registry":
            found = {one.name: one.id for one in await self._plane.registries()}
            if change.name in found:
                self._names[f"{REGISTRY}{change.name}"] = found[change.name]
        else:
            found = {one.name: one.id for one in await self._plane.secrets() or ()}
        return found.get(change.name, "")
