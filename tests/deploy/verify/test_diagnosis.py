"""Why no worker serves, from health counts."""

import pytest

from deploy.fleet.answers import Health
from deploy.verify.diagnosis import (
    BUSY,
    CRASH_LOOP,
    NO_CAPACITY,
    NOT_STARTED,
    PAUSED,
    SLOW_START,
    Diagnosis,
    counted,
    is_hopeless,
    why_no_worker,
)


def health(jobs: dict[str, int] | None = None, **workers: int) -> Health:
    return Health.model_validate({"jobs": jobs or {}, "workers": workers})


@pytest.mark.parametrize(
    ("seen", "diagnosis"),
    [
        (health(unhealthy=1, throttled=1), CRASH_LOOP),
        (health(throttled=2), NO_CAPACITY),
        (health(throttled=1, initializing=1), SLOW_START),
        (health(initializing=1), SLOW_START),
        (health(running=1), SLOW_START),
        (health({"inProgress": 3}, running=1, ready=1), BUSY),
        (health({"inQueue": 1}), NOT_STARTED),
    ],
)
def test_counts_tell_what_is_wrong(seen: Health, diagnosis: Diagnosis) -> None:
    """Of five reports of missing capacity four are crash loops: those come first."""
    assert why_no_worker(seen, workers_max=3) == diagnosis


def test_without_workers_allowed_none_comes() -> None:
    assert why_no_worker(health(throttled=1), workers_max=0) == PAUSED


def test_waiting_longer_is_for_what_may_still_come() -> None:
    assert [is_hopeless(each) for each in (CRASH_LOOP, NO_CAPACITY, PAUSED)] == [True] * 3
    assert [is_hopeless(each) for each in (SLOW_START, NOT_STARTED, BUSY)] == [False] * 3


def test_counts_are_told_without_those_that_are_none() -> None:
    assert counted(health({"inQueue": 2}, throttled=1)) == "workers: 1 throttled; jobs: 2 in queue"
    assert counted(health()) == "workers: none; jobs: none"
