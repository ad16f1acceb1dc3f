"""When Runpod cuts an endpoint that nobody asks: decided from what it cost, day by day.

Runpod tells nobody when an endpoint was asked last. But a worker that served was billed, so the last hour with a cost
is about when the last request was; with workers that are always on nothing can be told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from deploy.fleet.answers import BillRecord

CUT_DAYS: Final = 3
"""Without a request for so long workers.max becomes 2."""
PAUSE_DAYS: Final = 7
"""Then it becomes 0, and serves nothing until somebody raises it."""
CUT_TO: Final = 2
LOOK_BACK: Final = timedelta(days=PAUSE_DAYS + 2)
_DAY_HOURS: Final = 24
_HOUR_SECONDS: Final = 3600
_WARN_HOURS: Final = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class Idleness:
    """For how many ``hours`` an endpoint has cost nothing."""

    hours: float

    def warning(self, *, workers_max: int) -> str:
        """What Runpod is about to do about it, or has done; empty where it is not near."""
        if workers_max == 0:
            return "paused: workers.max is 0; raise it by hand, or apply"
        for days, becomes in ((PAUSE_DAYS, 0), (CUT_DAYS, CUT_TO)):
            left = days * _DAY_HOURS - self.hours
            if workers_max > becomes and left <= _WARN_HOURS:
                when = f"in about {left:.0f} h" if left > 0 else "any moment"
                return f"no request for {self.hours / _DAY_HOURS:.1f} days: Runpod sets workers.max to {becomes} {when}"
        return ""


def idleness(records: Sequence[BillRecord], *, created: str, workers_min: int, now: datetime) -> Idleness | None:
    """Since when it costs nothing, from its bill by hours; ``None`` where that tells nothing."""
    if workers_min > 0:
        return None
    used = [moment(record.end_time) for record in records if record.total_amount > 0]
    since = max(used, default=None) or (moment(created) if created else now - LOOK_BACK)
    return Idleness(hours=max((now - since).total_seconds(), 0.0) / _HOUR_SECONDS)


def moment(text: str) -> datetime:
    """A moment as Runpod writes it; in UTC where it names no zone."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
