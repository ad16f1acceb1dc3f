"""What happens to endpoints that nobody uses."""

from deploy.emulator.model.idleness import DAY_SECONDS
from deploy.emulator.model.job import JobStatus
from tests.deploy.emulator.worlds import START, config, endpoint_in, status_of, world


def test_max_workers_are_cut_to_two_after_three_days_and_to_none_after_seven() -> None:
    made = world()
    endpoint = endpoint_in(made, config(workers_max=5, workers_min=3))
    made.advance(START + 3 * DAY_SECONDS - 1)
    assert endpoint.config.workers_max == 5
    made.advance(START + 3 * DAY_SECONDS)
    assert (endpoint.config.workers_max, endpoint.config.workers_min) == (2, 2)
    made.advance(START + 7 * DAY_SECONDS)
    assert endpoint.config.workers_max == 0
    assert endpoint.workers == {}
    assert len(endpoint.releases) == 1


def test_then_jobs_wait_and_no_worker_comes_until_it_is_raised_by_hand() -> None:
    made = world()
    endpoint = endpoint_in(made)
    late = START + 8 * DAY_SECONDS
    job = made.submit(endpoint.id, {"a": 1}, late)
    made.advance(late + 3600)
    assert status_of(job) is JobStatus.IN_QUEUE
    assert set(endpoint.health()["workers"].values()) == {0}
    made.update_endpoint(endpoint.id, config(workers_max=3), late + 3600)
    made.advance(late + 4000)
    assert status_of(job) is JobStatus.IN_PROGRESS
    assert endpoint.config.workers_max == 3


def test_a_request_begins_the_days_again() -> None:
    made = world()
    endpoint = endpoint_in(made)
    made.submit(endpoint.id, {"a": 1}, START + 2 * DAY_SECONDS)
    made.advance(START + 4 * DAY_SECONDS)
    assert endpoint.config.workers_max == 3
