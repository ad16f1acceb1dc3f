from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from deploy.emulator.control_plane.billing_windows import BillingWindow, BucketSize, billing_window
from deploy.emulator.control_plane.moments import rfc3339
from deploy.emulator.control_plane.problems import Problem
from tests.deploy.emulator.control_plane.rig import NOW


def window(**query: str) -> BillingWindow:
    return billing_window(QueryParams(query), NOW)


def told(found: BillingWindow) -> tuple[str, str]:
    return rfc3339(found.start), rfc3339(found.end)


def test_the_last_thirty_days_by_days_are_the_default() -> None:
    found = window()
    assert (*told(found), found.bucket_size) == ("2026-10-23T00:00:00Z", "2026-11-23T00:00:00Z", "day")
    assert len(list(found.buckets())) == 31


@pytest.mark.parametrize(
    ("size", "start", "end"),
    [
        ("hour", "2026-11-18T10:00:00Z", "2026-11-18T12:00:00Z"),
        ("day", "2026-11-18T00:00:00Z", "2026-11-19T00:00:00Z"),
        ("week", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
        ("month", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        ("year", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
    ],
)
def test_start_snaps_down_and_end_up_to_edges_of_buckets(size: str, start: str, end: str) -> None:
    found = window(startTime="2026-11-18T10:30:00Z", endTime="2026-11-18T11:00:01Z", bucketSize=size)
    assert told(found) == (start, end)


def test_an_end_on_an_edge_stays() -> None:
    found = window(startTime="2026-11-18T00:00:00Z", endTime="2026-11-19T00:00:00Z")
    assert told(found) == ("2026-11-18T00:00:00Z", "2026-11-19T00:00:00Z")


@pytest.mark.parametrize(
    ("size", "count", "start", "end"),
    [
        ("hour", 3, "2026-11-22T10:00:00Z", "2026-11-22T13:00:00Z"),
        ("day", 1, "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"),
        ("week", 2, "2026-11-09T00:00:00Z", "2026-11-23T00:00:00Z"),
        ("month", 12, "2025-12-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        ("year", 2, "2025-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
    ],
)
def test_the_last_n_buckets_end_with_the_present_one(size: str, count: int, start: str, end: str) -> None:
    found = window(lastN=str(count), bucketSize=size)
    assert told(found) == (start, end)
    assert len(list(found.buckets())) == count


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"lastN": "2", "startTime": "2026-11-18T00:00:00Z"}, 400),
        ({"lastN": "2", "endTime": "2026-11-18T00:00:00Z"}, 400),
        ({"startTime": "2026-11-19T00:00:00Z", "endTime": "2026-11-18T00:00:00Z"}, 400),
        ({"startTime": "1990-01-01T00:00:00Z", "bucketSize": "hour"}, 400),
        ({"bucketSize": "minute"}, 422),
        ({"lastN": "0"}, 422),
        ({"startTime": "yesterday"}, 422),
    ],
)
def test_a_question_that_means_nothing_is_refused(query: dict[str, str], status: int) -> None:
    with pytest.raises(Problem) as caught:
        window(**query)
    assert caught.value.status == status


@given(
    start=st.datetimes(datetime(2025, 1, 1), datetime(2026, 11, 1)),  # noqa: DTZ001 - hypothesis wants bounds without a zone
    days=st.floats(0, 40),
    size=st.sampled_from(get_args(BucketSize)),
)
def test_buckets_tile_their_window(start: datetime, days: float, size: BucketSize) -> None:
    begin = start.replace(tzinfo=UTC)
    end = begin + timedelta(days=days)
    found = window(startTime=begin.isoformat(), endTime=end.isoformat(), bucketSize=size)
    buckets = list(found.buckets())
    assert found.start <= begin.timestamp()
    assert found.end >= end.timestamp()
    assert all(one[1] == two[0] for one, two in pairwise(buckets))
    if buckets:
        assert (buckets[0][0], buckets[-1][1]) == (found.start, found.end)
