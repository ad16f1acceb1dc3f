"""Bills."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from deploy.emulator.model.bill import Bill, Run
from deploy.emulator.model.worker import WorkerState
from tests.deploy.emulator.worlds import START, config, endpoint_in, world


def run(started_at: float, ended_at: float | None) -> Run:
    return Run(
        worker_id="w",
        endpoint_id="e",
        started_at=started_at,
        gpu_nanodollars_per_second=310_000,
        cpu_nanodollars_per_second=0,
        disk_nanodollars_per_second=780,
        ended_at=ended_at,
    )


def test_a_run_is_rounded_up_to_the_second() -> None:
    assert run(0.0, 10.2).seconds(99.0) == 11
    assert run(START + 0.1, START + 10.1).seconds(START + 99) == 10
    assert run(0.0, None).seconds(2.5) == 3


@given(
    st.floats(0, 100_000, allow_nan=False),
    st.floats(0, 10_000, allow_nan=False),
    st.lists(st.integers(0, 120_000), max_size=6),
)
def test_buckets_that_tile_a_time_add_up_to_the_second(start: float, length: float, cuts: list[int]) -> None:
    """Whatever the buckets are, no second is in two of them and none in no one."""
    billed = run(start, start + length)
    edges = [float("-inf"), *sorted(map(float, cuts)), float("inf")]
    total = Bill()
    for begin, end in pairwise(edges):
        total += billed.bill(start + length, begin, end)
    assert total == billed.bill(start + length, float("-inf"), float("inf"))
    assert total.seconds == billed.seconds(start + length)


def test_a_bill_names_its_parts_and_its_sum() -> None:
    bill = run(0.0, 10.0).bill(10.0, 0.0, 100.0)
    assert bill == Bill(seconds=10, gpu_nanodollars=3_100_000, disk_nanodollars=7_800)
    assert bill.nanodollars == 3_107_800
    assert bill.dollars == 0.0031078


def test_the_ledger_knows_how_long_workers_were_in_each_state() -> None:
    made = world()
    endpoint = endpoint_in(made, config(workers_min=1, workers_max=1))
    [worker] = endpoint.workers.values()
    assert worker.pulled_at is not None
    pull = worker.pulled_at - START
    now = START + 500.0
    made.advance(now)
    ledger = made.ledger
    assert ledger.seconds_in(WorkerState.INITIALIZING, now) == pull
    assert ledger.seconds_in(WorkerState.RUNNING, now, endpoint_id=endpoint.id) == now - START - pull
    assert ledger.seconds_in(WorkerState.RUNNING, now, endpoint_id="other") == 0
    assert ledger.spent({endpoint.id}, now) == ledger.bill(now).nanodollars > 0
    assert ledger.spent(set(), now) == 0
    assert ledger.nanodollars_per_second({endpoint.id}) == 310_000
