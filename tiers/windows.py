"""Windows: for how long a limit holds, and when it begins anew.

An *aligned* window begins at multiples of its length since 1970 in UTC. A *calendar* window begins with an hour, a day,
a week (on Monday) or a month of a named time zone, so its length varies: with the month, and with daylight saving time.
A *rolling* window has no beginning: it is the time up to now. It is kept in *buckets*, of which a window has sixty: an
amount counts until its whole bucket is out of the window, so never less counts than the window holds.

Moments are whole seconds since 1970 in UTC.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

CalendarUnit = Literal["hour", "day", "week", "month"]
BUCKETS: Final = 60
"""Into how many buckets a rolling window is cut; none is shorter than a second."""
UTC: Final = "UTC"
_HOUR: Final = 3600
_LONGEST_MONTH_DAYS: Final = 31


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One kind of window."""

    kind: Literal["aligned", "calendar", "rolling"] = "aligned"
    seconds: int
    """Its length; of a calendar window the usual one: 3600, 86400, 604800 or 2592000."""
    unit: CalendarUnit | None = None
    """What a calendar window begins with; ``None`` for the others."""
    zone: str = UTC
    """The time zone of a calendar window, by its IANA name."""

    @property
    def arithmetic(self) -> bool:
        """Whether its beginnings are the multiples of its length: UTC knows no daylight saving time."""
        return self.kind == "aligned" or (self.zone == UTC and self.unit in {"hour", "day"})


def bounds(window: Window, now: float) -> tuple[int, int]:
    """When the window that holds ``now`` begins and ends; of a rolling one: the bucket that ``now`` falls into."""
    moment = int(now // 1)
    if window.kind == "rolling":
        step = bucket_seconds(window)
        start = moment - moment % step
        return start, start + step
    if window.arithmetic or window.unit is None:
        start = moment - moment % window.seconds
        return start, start + window.seconds
    zone = ZoneInfo(window.zone)
    if window.unit == "hour":
        start = moment - (moment + _beside_the_hour(zone, moment)) % _HOUR
        return start, start + _HOUR
    first = _first_day(datetime.fromtimestamp(moment, zone).date(), window.unit)
    return _midnight(first, zone), _midnight(_next_first_day(first, window.unit), zone)


def bucket_seconds(window: Window) -> int:
    """How long one bucket of a rolling window is."""
    return max(1, -(-window.seconds // BUCKETS))


def _beside_the_hour(zone: ZoneInfo, moment: int) -> int:
    """By how many seconds the zone's full hours are off those of UTC, by its standard time: where clocks are moved by
    half an hour, hours go on as they were.
    """
    there = datetime.fromtimestamp(moment, zone)
    offset = (there.utcoffset() or timedelta()) - (there.dst() or timedelta())
    return int(offset.total_seconds()) % _HOUR


def _first_day(day: date, unit: CalendarUnit) -> date:
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit == "month" else day


def _next_first_day(first: date, unit: CalendarUnit) -> date:
    if unit == "month":
        return (first + timedelta(days=_LONGEST_MONTH_DAYS)).replace(day=1)
    return first + timedelta(days=7 if unit == "week" else 1)


def _midnight(day: date, zone: ZoneInfo) -> int:
    """When a day begins there; where clocks skip midnight, that is the moment at which they do."""
    return int(datetime.combine(day, time(), zone).timestamp())
