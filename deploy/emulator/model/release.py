"""A release: one change of an endpoint's configuration, and what was changed by it."""

from dataclasses import asdict, dataclass
from typing import Any

from deploy.emulator.model.config import EndpointConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One field of ``EndpointConfig`` before and after."""

    field: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One version of an endpoint."""

    id: str
    version: int
    created_at: float
    changes: tuple[Change, ...]


def changes(old: EndpointConfig, new: EndpointConfig) -> tuple[Change, ...]:
    """What differs, field by field, as plain values."""
    before, after = asdict(old), asdict(new)
    return tuple(
        Change(field=name, old=before[name], new=after[name]) for name in before if before[name] != after[name]
    )
