"""Which endpoints of a tier do so much worse than their siblings that they are ejected for a while.

An endpoint is an *outlier* by its failures where the share of its requests that failed is far above its siblings', or
by its slowness where its answers begin several times as late as theirs. Each is compared with the middle of the others,
so that a fault that all share ejects none. Never are more than half of a tier's endpoints out at once, those included
that are out for another reason: the rest must carry the load.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

REQUESTS_MIN = 10
"""An endpoint is judged, and taken as a measure, from so many requests on."""
FAILED_SHARE_ABOVE = 0.3
"""How far the share of failed requests may be above the siblings'."""
SLOW_TIMES = 3.0
"""How many times as long as with the siblings a first byte may take …"""
SLOW_SECONDS = 0.5
"""… and how many seconds longer: among fast ones a factor means nothing."""

Reason = Literal["failure_ratio", "slow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """How an endpoint did lately.

    Attributes:
        requests: Whose result is known.
        failures: How many of these failed.
        first_byte_seconds: The middle of the times from sending to the answer's beginning; ``None`` without enough.
        out: It is not asked at present.
    """

    requests: int
    failures: int
    first_byte_seconds: float | None = None
    out: bool = False

    @property
    def failed_share(self) -> float | None:
        """Of its requests; ``None`` without enough."""
        return self.failures / self.requests if self.requests >= REQUESTS_MIN else None


def outliers(showings: Sequence[Showing]) -> list[tuple[int, Reason]]:
    """Which endpoints of one tier to eject, by their places in ``showings``, and why; the worst first."""
    found: list[tuple[int, Reason]] = []
    left = list(showings)
    while sum(showing.out for showing in left) + 1 <= len(left) // 2:
        worst = max((_excess(left, place) for place in range(len(left))), default=None)
        if worst is None or worst[0] < 1:
            break
        _, place, reason = worst
        found.append((place, reason))
        left[place] = replace(left[place], out=True)
    return found


def _excess(showings: Sequence[Showing], place: int) -> tuple[float, int, Reason]:
    """How far an endpoint is out of line, 1 being as far as may be; its place; by what."""
    own = showings[place]
    if own.out:
        return 0, place, "failure_ratio"
    others = [showing for at, showing in enumerate(showings) if at != place and not showing.out]
    by_failures, by_time = _excess_of_failures(own, others), _excess_of_time(own, others)
    return (by_time, place, "slow") if by_time > by_failures else (by_failures, place, "failure_ratio")


def _excess_of_failures(own: Showing, others: Sequence[Showing]) -> float:
    shares = [share for showing in others if (share := showing.failed_share) is not None]
    if own.failed_share is None or not shares:
        return 0
    return (own.failed_share - median(shares)) / FAILED_SHARE_ABOVE


def _excess_of_time(own: Showing, others: Sequence[Showing]) -> float:
    times = [seconds for showing in others if (seconds := showing.first_byte_seconds) is not None]
    if own.first_byte_seconds is None or not times:
        return 0
    usual = median(times)
    return min(own.first_byte_seconds / (SLOW_TIMES * usual or 1e-9), (own.first_byte_seconds - usual) / SLOW_SECONDS)
