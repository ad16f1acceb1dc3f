"""The books beside the emulator's bill, for real traffic on a clock that only the test moves."""

import csv
from datetime import datetime
from pathlib import Path

import pytest

from tests.deploy.emulator.worlds import balanced, config
from tests.gateway.gpu_seconds.replay import Replay
from tests.gateway.gpu_seconds.test_watch import BASE
from tests.gateway.samples import token_tier
from tiers.bill import billed_milliseconds, reconcile

TRACE = Path(__file__).parents[4] / "shared" / "data" / "traces" / "AzureLLMInferenceTrace_conv.csv"
DRIFT_MAX = 0.01
KINDS = {"queue": config, "load balancer": balanced}


def arrivals(every: int, until: float) -> list[tuple[float, float]]:
    """When requests came, in seconds from the first one, and how long each took: one in so many."""
    if not TRACE.exists():
        pytest.skip(f"the trace is not there: {TRACE}")
    with TRACE.open(encoding="utf-8", newline="") as file:
        rows = [
            (datetime.fromisoformat(row["TIMESTAMP"][:26]), int(row["GeneratedTokens"])) for row in csv.DictReader(file)
        ]
    all_of_them = [((at - rows[0][0]).total_seconds(), 0.2 + 0.02 * tokens) for at, tokens in rows]
    return [(at, seconds) for at, seconds in all_of_them[::every] if at <= until]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("every", "until", "flashboot"),
    [
        (1, 3600.0, "FLASHBOOT"),
        (10, 900.0, "FLASHBOOT"),
        (100, 2400.0, "FLASHBOOT"),
        (400, 3600.0, "FLASHBOOT"),
        (400, 3600.0, "OFF"),
    ],
)
async def test_the_drift_of_a_real_trace_is_below_one_percent(
    kind: str, every: int, until: float, flashboot: str
) -> None:
    """One request in so many, over two processes and up to three workers, from none and back to none.

    With FlashBoot a worker comes back within seconds and is held for nothing; without it each start takes a minute.
    """
    replay = Replay(KINDS[kind](workers_max=3, flashboot=flashboot))
    await replay.run(arrivals(every, until))
    bill, books = replay.bill(), replay.books()
    microdollars = round(bill.gpu_nanodollars / 1000)
    price = round(bill.gpu_nanodollars / bill.seconds / 1000)
    [line] = reconcile(
        day="2026-06-01",
        endpoint=BASE,
        tiers=[token_tier().name],
        books=books,
        billed=billed_milliseconds(microdollars, price),
        billed_microdollars=microdollars,
    )
    assert line.attributed + line.overhead + line.unexplained == line.billed
    assert line.attributed + line.overhead == books.seen
    assert line.attributed == pytest.approx(replay.shares * 1000, rel=0.001, abs=2)
    assert abs(line.drift) <= DRIFT_MAX


async def test_between_requests_an_endpoint_without_a_worker_is_left_alone() -> None:
    """A minute apart, as long as nobody asks and none is billed."""
    replay = Replay(balanced(workers_max=1))
    await replay.run([(0.0, 2.0), (1500.0, 2.0)])
    billed = replay.bill().seconds
    assert replay.health.looks < billed + 100
