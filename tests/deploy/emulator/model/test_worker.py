"""Workers as a state machine."""

import pytest

from deploy.emulator.model.worker import BEGINNINGS, BILLED, EDGES, ImpossibleTransition, WorkerState
from tests.deploy.emulator.worlds import START, config, endpoint_in, world


def test_every_state_can_be_reached_and_left() -> None:
    reached = set(BEGINNINGS)
    for _ in WorkerState:
        reached |= {after for state in reached for after in EDGES[state]}
    assert reached == set(WorkerState)
    assert [state for state, after in EDGES.items() if not after] == [WorkerState.STOPPED]


def test_a_worker_goes_only_along_the_table() -> None:
    endpoint = endpoint_in(world(), config(workers_min=1))
    [worker] = endpoint.workers.values()
    with pytest.raises(ImpossibleTransition, match="initializing → idle"):
        worker.enter(WorkerState.IDLE, START)


def test_only_workers_with_a_container_are_billed() -> None:
    assert {WorkerState.RUNNING, WorkerState.OUTDATED} == BILLED


def test_its_log_keeps_the_latest_lines() -> None:
    endpoint = endpoint_in(world(), config(workers_min=1))
    [worker] = endpoint.workers.values()
    for number in range(6000):
        worker.say(START, str(number))
    assert len(worker.log) == 5000
    assert worker.log[-1].text == "5999"
