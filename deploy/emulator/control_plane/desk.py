"""What all routes of one control plane share, and how they find what a request is about."""

from dataclasses import dataclass, field
from typing import Protocol

from starlette.requests import Request

from deploy.emulator.control_plane.archive import Archive
from deploy.emulator.control_plane.paging import Edition
from deploy.emulator.control_plane.problems import not_found
from deploy.emulator.control_plane.rehearsal import Rehearsal
from deploy.emulator.model.account import Account
from deploy.emulator.model.endpoint import Endpoint
from deploy.emulator.model.world import World


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> float:
        """Seconds since 1970, as far as the emulator is concerned."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where an endpoint's callers find it; ``{id}`` stands for its id.

    Attributes:
        queue: What a queue endpoint's operations are below.
        load_balancer: What a load-balancing endpoint's own paths are below.
    """

    queue: str = "https://api.runpod.ai/v2/{id}"
    load_balancer: str = "https://{id}.api.runpod.ai"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What all routes share."""

    world: World
    clock: Clock
    addresses: Addresses = Addresses()
    edition: Edition = "2026-11"
    rehearsal: Rehearsal = field(default_factory=Rehearsal)
    archive: Archive = field(default_factory=Archive)

    def account(self, request: Request) -> Account:
        """Who asks."""
        found: Account = request.state.account
        return found

    def endpoint(self, request: Request) -> Endpoint:
        """The endpoint that the path names.

        Raises:
            Problem: 404, there is none, or it is another account's.
        """
        found = self.world.endpoints.get(request.path_params["id"])
        if found is None or found.account_id != self.account(request).id:
            raise not_found("endpoint")
        return found
