"""The world as a whole."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.emulator.model.account import Account
from deploy.emulator.model.config import QueueDelay, RequestCount
from deploy.emulator.model.endpoint import Endpoint
from deploy.emulator.model.errors import CannotChange, QuotaExceeded, UnknownEndpoint, UnknownWorker
from deploy.emulator.model.faults import Faults
from deploy.emulator.model.job import JobStatus
from deploy.emulator.model.resources import Template
from deploy.emulator.model.worker import BEGINNINGS, BILLED, EDGES, WorkerState
from deploy.emulator.model.world import World
from tests.deploy.emulator.worlds import ACCOUNT, KEY, START, balanced, config, endpoint_in, state_of, world

QUICK = Faults(pull_seconds=1.0, load_seconds=1.0)


def test_a_key_acts_for_its_account() -> None:
    made = world()
    account = made.account_of(KEY)
    assert account is not None
    assert account.id == ACCOUNT
    assert made.account_of("other") is None
    mine = endpoint_in(made)
    made.add_account(Account(id="other", keys={"k"}))
    made.create_endpoint("other", config(), START)
    assert made.owned(ACCOUNT) == [mine]


def test_endpoints_may_not_have_more_workers_than_the_account() -> None:
    made = world(balance_usd=50)
    endpoint = endpoint_in(made, config(workers_max=3))
    with pytest.raises(QuotaExceeded, match="would be 6, but the account's quota is 5"):
        endpoint_in(made, config(workers_max=3))
    other = endpoint_in(made, config(workers_max=2))
    with pytest.raises(QuotaExceeded):
        made.update_endpoint(other.id, config(workers_max=3), START)
    made.update_endpoint(endpoint.id, config(workers_max=1), START)
    made.update_endpoint(other.id, config(workers_max=4), START)


def test_type_and_compute_are_fixed() -> None:
    made = world()
    endpoint = endpoint_in(made)
    with pytest.raises(CannotChange):
        made.update_endpoint(endpoint.id, balanced(), START)
    with pytest.raises(CannotChange):
        made.update_endpoint(endpoint.id, config(gpu=None), START)


def test_a_change_makes_a_release_and_no_change_makes_none() -> None:
    made = world()
    endpoint = endpoint_in(made, config(workers_min=1))
    [worker] = endpoint.workers.values()
    made.update_endpoint(endpoint.id, config(workers_min=1), START + 1)
    assert endpoint.version == 1
    made.update_endpoint(endpoint.id, config(workers_min=1, idle_timeout_seconds=60), START + 2)
    assert [release.version for release in endpoint.releases] == [1, 2]
    assert [change.field for change in endpoint.releases[1].changes] == ["idle_timeout_seconds"]
    assert (worker.version, worker.state) == (2, WorkerState.INITIALIZING), "workers go on where nothing else runs"


def test_a_deleted_endpoint_is_gone_and_its_cost_stays() -> None:
    made = world()
    endpoint = endpoint_in(made, config(workers_min=1))
    made.set_faults(endpoint.id, QUICK, START)
    made.accounts[ACCOUNT].resources.templates["t"] = Template(id="t", name="n", image="i", endpoint_id=endpoint.id)
    made.advance(START + 100)
    job = made.submit(endpoint.id, {"a": 1}, START + 100)
    [worker] = endpoint.workers.values()
    made.delete_endpoint(endpoint.id, START + 110)
    assert (job.status, worker.state) == (JobStatus.CANCELLED, WorkerState.STOPPED)
    with pytest.raises(UnknownEndpoint):
        made.endpoint(endpoint.id)
    assert made.accounts[ACCOUNT].resources.templates == {}
    assert made.bill(ACCOUNT, START + 500).seconds > 50
    made.engine_up(worker, START + 500)
    made.engine_died(worker, START + 500, "late")
    made.revive(worker, START + 500)
    assert state_of(worker) is WorkerState.STOPPED


def test_an_unknown_worker_is_refused() -> None:
    made = world()
    with pytest.raises(UnknownWorker):
        made.worker(endpoint_in(made).id, "w")


def test_a_spent_balance_stops_all_workers_and_starts_none() -> None:
    made = world()
    endpoint = endpoint_in(made, config(workers_min=1))
    made.set_faults(endpoint.id, QUICK, START)
    made.advance(START + 100)
    made.accounts[ACCOUNT].balance_usd = 0.001
    made.refresh(START + 200)
    assert endpoint.in_state(*BILLED) == []
    made.advance(START + 900)
    assert [worker.state for worker in endpoint.workers.values()] == [WorkerState.THROTTLED]
    made.accounts[ACCOUNT].balance_usd = 1000
    made.refresh(START + 900)
    made.advance(START + 1000)
    assert len(endpoint.in_state(WorkerState.RUNNING)) == 1


def test_beyond_the_spend_limit_no_worker_is_started() -> None:
    made = world()
    made.accounts[ACCOUNT].spend_limit_usd_per_hour = 1.5
    endpoint = endpoint_in(made, config(workers_min=2))
    made.set_faults(endpoint.id, QUICK, START)
    made.advance(START + 100)
    made.update_endpoint(endpoint.id, config(workers_min=3), START + 100)
    assert len(endpoint.in_state(WorkerState.RUNNING)) == 2
    assert len(endpoint.in_state(WorkerState.THROTTLED)) == 1


def test_requests_of_a_load_balancer_wait_for_a_worker_and_keep_it_busy() -> None:
    made = world()
    endpoint = endpoint_in(made, balanced())
    made.set_faults(endpoint.id, QUICK, START)
    made.arrive(endpoint, START)
    assert made.begin(endpoint, START) is None
    [worker] = endpoint.workers.values()
    assert made.begin(endpoint, START + 100, worker_id="other") is None
    assert made.begin(endpoint, START + 100) is worker
    assert (worker.requests, endpoint.waiting) == (1, 0)
    made.advance(START + 300)
    assert state_of(worker) is WorkerState.RUNNING
    made.done(worker, START + 300)
    made.advance(START + 310)
    assert state_of(worker) is WorkerState.IDLE
    made.revive(worker, START + 311)
    assert state_of(worker) is WorkerState.RUNNING
    made.arrive(endpoint, START + 311)
    made.give_up(endpoint, START + 312)
    assert endpoint.waiting == 0


def test_listeners_are_told_of_changes_and_of_what_time_brings() -> None:
    made = world()
    told: list[float] = []
    made.listeners.append(lambda: told.append(0.0))
    endpoint_in(made, config(workers_min=1))
    assert told
    told.clear()
    made.advance(START + 0.1)
    assert not told
    made.advance(START + 200)
    assert told


def test_the_same_seed_and_calls_make_the_same_world() -> None:
    ends = []
    for _ in range(2):
        made = world(seed=5)
        endpoint = endpoint_in(made)
        job = made.submit(endpoint.id, {"a": 1}, START)
        made.advance(START + 500)
        ends.append((endpoint.id, job.id, job.worker_id, job.started_at))
    assert ends[0] == ends[1]


ACTIONS = st.sampled_from(["submit", "finish", "cancel", "fault", "heal", "crash", "update", "roll", "lower", "wait"])
SCALINGS = st.sampled_from([QueueDelay(seconds=2.0), RequestCount(requests=1)])


def act(made: World, endpoint: Endpoint, action: str, now: float) -> None:
    open_jobs = [job for job in endpoint.jobs.values() if job.status is JobStatus.IN_PROGRESS]
    workers = endpoint.in_state(*BILLED)
    match action:
        case "submit":
            made.submit(endpoint.id, {"a": 1}, now)
        case "finish" if open_jobs:
            made.finish(open_jobs[0], now)
        case "cancel" if endpoint.jobs:
            made.cancel(next(iter(endpoint.jobs.values())), now)
        case "fault":
            made.set_faults(endpoint.id, Faults(no_capacity=True), now)
        case "heal":
            made.set_faults(endpoint.id, QUICK, now)
        case "crash" if workers:
            made.engine_died(workers[0], now, "exit")
        case "update":
            made.update_endpoint(endpoint.id, config(workers_max=4, scaling=endpoint.config.scaling), now)
        case "roll":
            image = f"image-{endpoint.version}"
            made.update_endpoint(endpoint.id, config(image=image, scaling=endpoint.config.scaling), now)
        case "lower":
            made.update_endpoint(endpoint.id, config(workers_max=1, scaling=endpoint.config.scaling), now)
        case _:
            made.advance(now)


@settings(max_examples=80, deadline=None)
@given(SCALINGS, st.lists(st.tuples(ACTIONS, st.floats(0, 40)), max_size=40))
def test_whatever_happens_the_world_holds_together(
    scaling: QueueDelay | RequestCount, actions: list[tuple[str, float]]
) -> None:
    """Never more current workers than the maximum; states only along the table; every billed second once."""
    made = world()
    endpoint = endpoint_in(made, config(scaling=scaling, env={"MAX_CONCURRENCY": "1"}))
    now = START
    for action, pause in actions:
        now += pause
        act(made, endpoint, action, now)
        made.advance(now)
        current = [worker for worker in endpoint.workers.values() if worker.state is not WorkerState.OUTDATED]
        assert len(current) <= endpoint.config.workers_max
        held = Counter(job_id for worker in endpoint.workers.values() for job_id in worker.jobs)
        running = {job.id for job in endpoint.jobs.values() if job.status is JobStatus.IN_PROGRESS}
        assert held == dict.fromkeys(running, 1)
        queued = {job.id for job in endpoint.jobs.values() if job.status is JobStatus.IN_QUEUE}
        assert set(endpoint.queue) == queued
    made.delete_endpoint(endpoint.id, now)
    check_spans(made, now)


def check_spans(made: World, now: float) -> None:
    """Spans of a worker tile its life along the table; its runs are its billed spans, joined."""
    lives = {span.worker_id for span in made.ledger.spans}
    for worker_id in lives:
        spans = [span for span in made.ledger.spans if span.worker_id == worker_id]
        assert spans[0].state in BEGINNINGS
        for before, after in pairwise(spans):
            assert before.ended_at == after.started_at
            assert after.state in EDGES[before.state]
        assert spans[-1].ended_at is not None
        runs = [run for run in made.ledger.runs if run.worker_id == worker_id]
        billed = [span for span in spans if span.state in BILLED]
        joined: list[list[float | None]] = []
        for span in billed:
            if joined and joined[-1][1] == span.started_at and span.state is WorkerState.OUTDATED:
                joined[-1][1] = span.ended_at
            else:
                joined.append([span.started_at, span.ended_at])
        assert [[run.started_at, run.ended_at] for run in runs] == joined
    total = sum(run.seconds(now) for run in made.ledger.runs)
    assert made.ledger.bill(now).seconds == total
