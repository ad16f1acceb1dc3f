"""When Runpod cuts an endpoint that nobody asks."""

from datetime import UTC, datetime, timedelta

import pytest

from deploy.fleet.answers import BillRecord
from deploy.status.idleness import Idleness, idleness, moment

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def hour(before: float, usd: float) -> BillRecord:
    """What an hour cost that ended so many hours before."""
    end = NOW - timedelta(hours=before)
    times = {"startTime": (end - timedelta(hours=1)).isoformat(), "endTime": end.isoformat()}
    return BillRecord.model_validate({**times, "totalAmount": usd})


def hours(*records: BillRecord, created: str = "2026-11-01T00:00:00Z", workers_min: int = 0) -> float | None:
    found = idleness(records, created=created, workers_min=workers_min, now=NOW)
    return None if found is None else found.hours


def test_it_is_idle_since_the_last_hour_that_cost_something() -> None:
    assert hours(hour(100, 0.2), hour(50, 0.1), hour(2, 0)) == 50


def test_what_never_cost_anything_is_idle_since_it_was_made() -> None:
    assert hours(created="2026-11-22T12:00:00Z") == 24
    assert hours(created="") == 9 * 24


def test_of_workers_that_are_always_on_nothing_can_be_told() -> None:
    assert hours(hour(1, 1), workers_min=1) is None


@pytest.mark.parametrize(
    ("idle", "workers_max", "said"),
    [
        (10, 3, ""),
        (35, 3, ""),
        (40, 3, "sets workers.max to 2 in about 32 h"),
        (71, 3, "sets workers.max to 2 in about 1 h"),
        (80, 3, "sets workers.max to 2 any moment"),
        (80, 2, ""),
        (150, 2, "no request for 6.2 days: Runpod sets workers.max to 0 in about 18 h"),
        (150, 0, "paused: workers.max is 0; raise it by hand, or apply"),
    ],
)
def test_it_is_said_a_day_and_a_half_before(idle: float, workers_max: int, said: str) -> None:
    """Cut to 2 after 3 days, to 0 after 7."""
    warning = Idleness(hours=idle).warning(workers_max=workers_max)
    assert warning.endswith(said)
    assert bool(warning) == bool(said)


def test_moments_are_in_utc() -> None:
    assert moment("2026-11-23T12:00:00Z") == moment("2026-11-23T12:00:00") == NOW
