"""How many files a process may have open: each request under way needs two, one to its client and one to its endpoint.

Linux gives a process 1024 at first, so that programs which use ``select`` do not break, and lets it ask for more.
"""

import resource
from typing import Protocol

from tiers.tiermap import TierMap

PER_REQUEST = 2
RESERVE = 256
"""For what is not a request under way: the store, idle connections to both sides, the log, the interpreter's own."""
UNLIMITED = 2**63


class Report(Protocol):
    """Takes an event of the gateway's life."""

    def __call__(self, name: str, /, **keys: object) -> None:
        """``name`` happened; ``keys`` say more."""


def connections_max(most: int) -> int:
    """How many connections this process may have open, ``most`` or fewer: each may want one to an endpoint."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return most
    return max(1, min(most, (allowed - RESERVE) // PER_REQUEST))


def allow_descriptors(tier_map: TierMap, report: Report) -> None:
    """Allow this process, and those that it starts, as many open files as the system lets it.

    ``report`` is told where that is less than one process needs when its requests take all slots of all tiers.
    """
    allowed, needed = raise_limit(), wanted(tier_map)
    if allowed < needed:
        report("descriptors.few", allowed=allowed, wanted=needed)


def raise_limit() -> int:
    """Raise the limit of open files as far as the system lets this process; returns how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # some systems say "unlimited" and mean less
        hard = soft
    return UNLIMITED if hard == resource.RLIM_INFINITY else hard


def wanted(tier_map: TierMap) -> int:
    """The open files that one process needs when all slots of all tiers are taken by its own requests."""
    return PER_REQUEST * sum(tier.slots for tier in tier_map.tiers.values()) + RESERVE
