"""What is seen of a fleet, as values."""

from dataclasses import dataclass, field

from deploy.fleet.answers import Rollout, WorkerSummary
from deploy.fleet.difference import FieldChange


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    """One endpoint.

    Attributes:
        key: What it is in the tier map.
        id: Runpod's; empty where there is none yet.
        change: What has to be done so that it is as the tier map says: ``create``, ``update``, ``replace``, ``delete``;
            empty for nothing.
        drift: Field by field, what it is and what it should be.
        workers: By state.
        rollout: How far workers have followed its newest version; ``None`` where that is not told.
        day_usd: What it cost in the last 24 hours.
        warning: What Runpod is about to do about it, for want of requests.
    """

    key: str
    name: str
    id: str = ""
    change: str = ""
    drift: tuple[FieldChange, ...] = ()
    workers: WorkerSummary = field(default_factory=WorkerSummary)
    workers_max: int = 0
    version: int | None = None
    rollout: Rollout | None = None
    day_usd: float = 0.0
    warning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetStatus:
    """All endpoints, by key, and what is to be said of the whole."""

    fleet: str
    endpoints: tuple[EndpointStatus, ...]
    notes: tuple[str, ...] = ()

    @property
    def drifted(self) -> bool:
        """Whether anything is not as the tier map says."""
        return any(one.change for one in self.endpoints)

    @property
    def day_usd(self) -> float:
        """What all of it cost in the last 24 hours."""
        return sum(one.day_usd for one in self.endpoints)
