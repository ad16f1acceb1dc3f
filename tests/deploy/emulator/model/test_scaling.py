"""How many workers an endpoint wants."""

from typing import Any

import pytest

from deploy.emulator.model.config import QueueDelay, RequestCount
from deploy.emulator.model.scaling import Load, next_scale_at, wanted_workers
from tests.deploy.emulator.worlds import config


def load(**changes: object) -> Load:
    fields: dict[str, Any] = {
        "queued": 0,
        "in_progress": 0,
        "live": 0,
        "oldest_queued_at": None,
        "last_scaled_at": 0.0,
    }
    fields.update(changes)
    return Load(**fields)


@pytest.mark.parametrize(
    ("queued", "in_progress", "live", "wanted"),
    [(0, 0, 0, 0), (1, 0, 0, 1), (3, 0, 0, 2), (3, 2, 1, 3), (9, 9, 0, 3), (0, 0, 2, 2)],
)
def test_request_count_wants_a_worker_for_so_many_requests(
    queued: int, in_progress: int, live: int, wanted: int
) -> None:
    settings = config(scaling=RequestCount(requests=2))
    assert wanted_workers(settings, load(queued=queued, in_progress=in_progress, live=live), 0.0) == wanted


def test_queue_delay_starts_the_first_worker_at_once_and_others_when_jobs_have_waited() -> None:
    settings = config(scaling=QueueDelay(seconds=4.0))
    cold = load(queued=2, oldest_queued_at=100.0)
    assert wanted_workers(settings, cold, 100.0) == 1
    one = load(queued=2, oldest_queued_at=100.0, live=1, last_scaled_at=100.0)
    assert wanted_workers(settings, one, 103.9) == 1
    assert wanted_workers(settings, one, 104.0) == 2
    assert next_scale_at(settings, one) == 104.0


def test_queue_delay_wants_no_more_workers_than_there_are_jobs() -> None:
    one = load(queued=1, oldest_queued_at=100.0, live=1, last_scaled_at=100.0)
    assert wanted_workers(config(), one, 500.0) == 1


def test_the_minimum_is_always_there_and_the_maximum_never_passed() -> None:
    assert wanted_workers(config(workers_min=2), load(), 0.0) == 2
    assert wanted_workers(config(workers_min=2, workers_max=1), load(), 0.0) == 1
    assert wanted_workers(config(workers_max=0), load(queued=5, oldest_queued_at=0.0), 99.0) == 0
    assert next_scale_at(config(workers_max=0), load(queued=5, oldest_queued_at=0.0)) is None
