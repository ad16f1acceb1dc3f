"""When windows begin and end."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiers.windows import CalendarUnit, Window, bounds, bucket_seconds

LENGTHS = {"hour": 3600, "day": 86_400, "week": 604_800, "month": 2_592_000}
ZONES = ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/Sao_Paulo", "Australia/Lord_Howe", "Africa/Cairo"]


def calendar(unit: CalendarUnit, zone: str = "Europe/Berlin") -> Window:
    return Window(kind="calendar", seconds=LENGTHS[unit], unit=unit, zone=zone)


def unix(text: str, zone: str = "Europe/Berlin") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def test_an_aligned_window_begins_at_a_multiple_of_its_length() -> None:
    assert bounds(Window(seconds=3600), 7300.9) == (7200, 10_800)


@pytest.mark.parametrize(
    ("unit", "now", "start", "end"),
    [
        ("hour", "2026-11-23T14:35", "2026-11-23T14:00", "2026-11-23T15:00"),
        ("day", "2026-11-23T14:35", "2026-11-23T00:00", "2026-11-24T00:00"),
        ("week", "2026-11-22T23:59", "2026-11-16T00:00", "2026-11-23T00:00"),
        ("week", "2026-11-23T00:00", "2026-11-23T00:00", "2026-11-30T00:00"),
        ("month", "2026-12-31T23:59", "2026-12-01T00:00", "2027-01-01T00:00"),
        ("month", "2028-02-29T12:00", "2028-02-01T00:00", "2028-03-01T00:00"),
    ],
)
def test_a_calendar_window_begins_with_its_unit_where_the_clock_says_so(
    unit: CalendarUnit, now: str, start: str, end: str
) -> None:
    assert bounds(calendar(unit), unix(now)) == (unix(start), unix(end))


def test_a_day_is_as_long_as_the_clocks_there_make_it() -> None:
    """They are put forward on the 29th of March 2026, back on the 25th of October."""
    start, end = bounds(calendar("day"), unix("2026-03-29T12:00"))
    assert end - start == 23 * 3600
    start, end = bounds(calendar("day"), unix("2026-10-25T12:00"))
    assert end - start == 25 * 3600


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Colombo", "Pacific/Norfolk"])
def test_full_hours_are_those_of_the_zone(zone: str) -> None:
    """India is five hours and a half ahead; the others have other standard times than they once had."""
    start, _ = bounds(calendar("hour", zone), unix("2026-11-23T14:35", zone))
    assert start == unix("2026-11-23T14:00", zone)


@pytest.mark.parametrize("unit", ["hour", "day"])
def test_in_utc_hours_and_days_are_plain_arithmetic(unit: CalendarUnit) -> None:
    """The store works them out by itself."""
    now = 1_795_401_184.5
    assert calendar(unit, "UTC").arithmetic
    assert not calendar(unit).arithmetic
    assert not calendar("week", "UTC").arithmetic
    assert not Window(kind="rolling", seconds=60).arithmetic
    assert bounds(calendar(unit, "UTC"), now) == bounds(Window(seconds=LENGTHS[unit]), now)
    assert datetime.fromtimestamp(bounds(calendar(unit, "UTC"), now)[0], UTC).minute == 0


@settings(max_examples=300)
@given(
    st.sampled_from(ZONES),
    st.sampled_from(["hour", "day", "week", "month"]),
    st.integers(1_700_000_000, 1_900_000_000),
)
def test_windows_follow_each_other_without_gap_or_overlap(zone: str, unit: CalendarUnit, now: int) -> None:
    """Also where clocks skip midnight, or are moved by half an hour."""
    window = calendar(unit, zone)
    start, end = bounds(window, now)
    assert start <= now < end
    assert bounds(window, start) == bounds(window, end - 1) == (start, end)
    assert bounds(window, end)[0] == end
    assert bounds(window, start - 1)[1] == start


def test_a_rolling_window_is_kept_in_sixty_buckets_of_whole_seconds() -> None:
    assert bucket_seconds(Window(kind="rolling", seconds=3600)) == 60
    assert bucket_seconds(Window(kind="rolling", seconds=3601)) == 61
    assert bucket_seconds(Window(kind="rolling", seconds=10)) == 1
    assert bounds(Window(kind="rolling", seconds=3600), 7259.9) == (7200, 7260)
