"""A virtual key as it is kept, and the caller that it is."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.exchange import Caller
from gateway.keys.form import NewKey, bounds_of


class VirtualKey(msgspec.Struct, frozen=True, kw_only=True):
    """One virtual key. Times are Unix seconds; the secret itself is not here, only ``kept`` of it.

    Revoked ones stay, so that no name is ever another key's.
    """

    id: str
    name: str
    digest: str
    """See ``gateway.keys.secret.kept``."""
    created_unix: float
    created_by: str
    """``admin``, or the id of the key that made it."""
    team: str = ""
    tiers: tuple[str, ...] | None = None
    agents: tuple[str, ...] | None = None
    budgets: tuple[dict[str, Any], ...] = ()
    """As they were written; see ``gateway.keys.form``."""
    limits: tuple[dict[str, Any], ...] = ()
    expires_unix: float | None = None
    may_make_keys: bool = False
    rotated_unix: float | None = None
    previous: str = ""
    """What is kept of the secret before the last rotation, which is taken …"""
    previous_until_unix: float = 0.0
    """… until then."""
    revoked_unix: float | None = None

    def works(self, unix: float) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_unix is None and (self.expires_unix is None or unix < self.expires_unix)

    def shown(self) -> dict[str, Any]:
        """What may be told of it: everything but what is kept of its secrets."""
        told: dict[str, Any] = msgspec.to_builtins(self)
        del told["digest"], told["previous"]
        return told


def ancestors(key: VirtualKey, keys: Mapping[str, VirtualKey]) -> list[VirtualKey]:
    """Who made it, who made that one, and so on; ``keys`` by their ids."""
    found: list[VirtualKey] = []
    maker = keys.get(key.created_by)
    while maker is not None and len(found) < len(keys):
        found.append(maker)
        maker = keys.get(maker.created_by)
    return found


def caller_of(key: VirtualKey, keys: Mapping[str, VirtualKey]) -> Caller:
    """Who calls with it. What it spends is its makers' too: their budgets come with theirs as owners."""
    bounds = [bounds_of(each.name, each.budgets, each.limits) for each in (key, *ancestors(key, keys))]
    return Caller(
        name=key.name,
        tiers=None if key.tiers is None else frozenset(key.tiers),
        team=key.team,
        agents=key.agents,
        expires_unix=key.expires_unix,
        budgets=tuple(budget for budgets, _ in bounds for budget in budgets),
        concurrency=tuple(each for _, concurrency in bounds for each in concurrency),
    )


def made(
    new: NewKey,
    written: Mapping[str, Any],
    *,
    name: str,
    digest: str,
    by: str,
    unix: float,
) -> VirtualKey:
    """The key that ``new`` asks for, which was read from ``written``; ``name`` is its id."""
    return VirtualKey(
        id=name,
        name=new.name,
        digest=digest,
        created_unix=unix,
        created_by=by,
        team=new.team,
        tiers=None if new.tiers is None else tuple(new.tiers),
        agents=new.agents,
        budgets=tuple(written.get("budgets") or ()),
        limits=tuple(written.get("limits") or ()),
        expires_unix=new.expires,
        may_make_keys=new.may_make_keys,
    )
