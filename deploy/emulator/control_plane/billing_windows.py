"""Which time a question about bills is for, cut into buckets: hours, days, weeks from Monday, months, years, in UTC."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from starlette.datastructures import QueryParams

from deploy.emulator.control_plane.parameters import integer, moment, word
from deploy.emulator.control_plane.problems import bad_request

BucketSize = Literal["hour", "day", "week", "month", "year"]
DEFAULT_DAYS = 30
BUCKETS_MAX = 20_000
"""Two years of hours; the emulator refuses more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingWindow:
    """The time [``start``, ``end``) in seconds, both on edges of buckets."""

    start: float
    end: float
    bucket_size: BucketSize

    def buckets(self) -> Iterator[tuple[float, float]]:
        """Start and end of every bucket, in order."""
        start = self.start
        while start < self.end:
            end = _next_edge(start, self.bucket_size)
            yield start, end
            start = end


def billing_window(query: QueryParams, now: float) -> BillingWindow:
    """What a query asks for: ``startTime`` and ``endTime``, or ``lastN`` buckets, or the last 30 days.

    Raises:
        Problem: A parameter is malformed (422); the two ways are mixed, the time is empty, or there are too many
            buckets (400).
    """
    size = _size(word(query, "bucketSize", get_args(BucketSize)))
    start, end = moment(query.get("startTime"), "startTime"), moment(query.get("endTime"), "endTime")
    last = integer(query, "lastN", least=1, most=BUCKETS_MAX)
    if last is not None:
        if start is not None or end is not None:
            raise bad_request("lastN is mutually exclusive with startTime/endTime")
        return _last(last, size, now)
    end = now if end is None else end
    start = end - DEFAULT_DAYS * 86400 if start is None else start
    if start > end:
        raise bad_request("startTime must be before endTime")
    floor, ceiling = _edge(start, size), _edge(end, size)
    if ceiling < end:
        ceiling = _next_edge(end, size)
    if (ceiling - floor) / 3600 > BUCKETS_MAX * (1 if size == "hour" else 24):
        raise bad_request(f"more than {BUCKETS_MAX} buckets")
    return BillingWindow(start=floor, end=ceiling, bucket_size=size)


def _size(text: str | None) -> BucketSize:
    return next((size for size in get_args(BucketSize) if size == text), "day")


def _last(count: int, size: BucketSize, now: float) -> BillingWindow:
    start = _edge(now, size)
    end = _next_edge(now, size)
    for _ in range(count - 1):
        start = _edge(start - 1, size)
    return BillingWindow(start=start, end=end, bucket_size=size)


def _edge(seconds: float, size: BucketSize) -> float:
    """The start of the bucket in which a moment lies."""
    day = datetime.fromtimestamp(seconds, tz=UTC).replace(minute=0, second=0, microsecond=0)
    match size:
        case "hour":
            return day.timestamp()
        case "day":
            return day.replace(hour=0).timestamp()
        case "week":
            return (day.replace(hour=0) - timedelta(days=day.weekday())).timestamp()
        case "month":
            return day.replace(hour=0, day=1).timestamp()
        case "year":
            return day.replace(hour=0, day=1, month=1).timestamp()


def _next_edge(seconds: float, size: BucketSize) -> float:
    """The end of the bucket in which a moment lies."""
    longest = {"hour": 1, "day": 24, "week": 7 * 24, "month": 32 * 24, "year": 367 * 24}[size]
    return _edge(_edge(seconds, size) + longest * 3600, size)
