"""What an endpoint tells of itself."""

from deploy.emulator.model.faults import Faults
from deploy.emulator.model.worker import WorkerState
from tests.deploy.emulator.worlds import START, balanced, config, endpoint_in, world


def test_a_cold_endpoint_is_all_zeros() -> None:
    health = endpoint_in(world()).health()
    assert list(health["jobs"]) == ["completed", "failed", "inProgress", "inQueue", "retried"]
    assert list(health["workers"]) == ["idle", "initializing", "ready", "running", "throttled", "unhealthy"]
    assert not any(health["jobs"].values())
    assert not any(health["workers"].values())


def test_busy_workers_are_running_and_free_ones_idle() -> None:
    made = world()
    endpoint = endpoint_in(made, config(workers_min=2))
    made.set_faults(endpoint.id, Faults(pull_seconds=1.0, load_seconds=1.0), START)
    made.advance(START + 100)
    made.submit(endpoint.id, {"a": 1}, START + 100)
    workers = endpoint.health()["workers"]
    assert (workers["idle"], workers["ready"], workers["running"]) == (1, 2, 1)
    assert len(endpoint.in_state(WorkerState.RUNNING)) == 2


def test_behind_a_load_balancer_ready_is_what_passes_its_health_check() -> None:
    made = world()
    endpoint = endpoint_in(made, balanced(workers_min=1))
    made.set_faults(endpoint.id, Faults(pull_seconds=1.0, load_seconds=60.0), START)
    made.advance(START + 62)
    worker = next(iter(endpoint.workers.values()))
    assert worker.pulled_at is None
    assert endpoint.health()["workers"]["running"] == 1
    made.advance(START + 200)
    assert endpoint.health()["workers"]["ready"] == 1
