"""A plan and its parts, as values: what there is, what is to be changed, and why that may not go."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from deploy.fleet.answers import DeployedEndpoint, Registry, Secret, Volume
from deploy.fleet.desired import REGISTRY, VOLUME
from deploy.fleet.difference import FieldChange

Action = Literal["create", "update", "delete"]
Kind = Literal["endpoint", "registry", "secret", "volume"]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What an account has."""

    endpoints: tuple[DeployedEndpoint, ...] = ()
    registries: tuple[Registry, ...] = ()
    volumes: tuple[Volume, ...] = ()
    secrets: tuple[Secret, ...] | None = None
    """``None`` where the account's API does not tell."""

    @property
    def names(self) -> dict[str, str]:
        """Ids of logins and volumes by the names that stand in bodies."""
        return {
            **{f"{REGISTRY}{one.name}": one.id for one in self.registries},
            **{f"{VOLUME}{one.name}": one.id for one in self.volumes},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing to make, change or delete."""

    action: Action
    kind: Kind
    key: str
    """What it is: an endpoint's key, or the name of anything else."""
    name: str
    id: str = ""
    """Runpod's; empty for what is to be made."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """What is sent, with names in place of ids of logins and volumes; never a secret's value."""
    fields: tuple[FieldChange, ...] = ()
    before: str = ""
    """What tells whether it has been changed since."""
    unsafe: tuple[str, ...] = ()
    """Why a second word is needed."""
    hour_max: int = 0
    """What it then costs in an hour at most, in microdollars."""
    idle_day: int = 0
    """What it then costs in a day on which nobody asks anything, in microdollars."""

    @property
    def label(self) -> str:
        """What it is called in plans, journals and messages; no other change of a plan is."""
        return f"{self.action} {self.kind} {self.key}" + (f" {self.id}" if self.action == "delete" else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Why the plan cannot be applied as it is."""

    message: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All changes, in the order in which they are to be made."""

    fleet: str
    changes: tuple[Change, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    notes: tuple[str, ...] = ()
    unsafe: tuple[str, ...] = ()
    """Why all of it together needs a second word."""
    hour_max: int = 0
    """What the fleet costs in an hour at most once all is done, in microdollars."""
    idle_day: int = 0
    workers: int = 0
    """Workers that the account's endpoints may have together while the plan is applied, at most."""
    quota: int = 0

    @property
    def is_unsafe(self) -> bool:
        """Whether it needs a second word."""
        return bool(self.unsafe or any(change.unsafe for change in self.changes))

    @property
    def checksum(self) -> str:
        """What the plan is known by: two that would do the same have the same."""
        told = json.dumps([self.fleet, [_identity(change) for change in self.changes]], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:16]


def _identity(change: Change) -> list[Any]:
    return [change.label, change.name, change.id, change.body, change.before]


def same(one: Change, other: Change) -> bool:
    """Whether both would do the same to the same."""
    return _identity(one) == _identity(other)


def as_data(plan: Plan) -> dict[str, Any]:
    """The plan as JSON holds it."""
    return {"checksum": plan.checksum, **asdict(plan)}
