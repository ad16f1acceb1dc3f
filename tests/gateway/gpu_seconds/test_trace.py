"""The books beside the emulator's bill, for real traffic on a clock that only the test moves."""

import csv
import heapq
import math
from collections import deque
from datetime import datetime
from pathlib import Path

import pytest

from deploy.emulator.model.endpoint import Endpoint
from deploy.emulator.model.worker import Worker
from deploy.emulator.model.world import World
from tests.deploy.emulator.worlds import START, balanced, endpoint_in, world
from tests.doubles.clock import ManualClock
from tests.gateway.gpu_seconds.test_watch import BASE, Ledger, Process
from tests.gateway.samples import token_tier
from tiers.bill import Books, billed_milliseconds, reconcile
from tiers.warmth import Sample

TRACE = Path(__file__).parents[4] / "shared" / "data" / "traces" / "AzureLLMInferenceTrace_conv.csv"
MICRODOLLARS_PER_SECOND = 310
DRIFT_MAX = 0.01


def arrivals() -> list[tuple[float, float]]:
    """When requests came, in seconds from the first one, and how long each took."""
    if not TRACE.exists():
        pytest.skip(f"the trace is not there: {TRACE}")
    with TRACE.open(encoding="utf-8", newline="") as file:
        rows = [
            (datetime.fromisoformat(row["TIMESTAMP"][:26]), int(row["GeneratedTokens"])) for row in csv.DictReader(file)
        ]
    return [((at - rows[0][0]).total_seconds(), 0.2 + 0.02 * tokens) for at, tokens in rows]


class Replay:
    """Two gateway processes before an emulated endpoint, moved a quarter of a second at a time."""

    def __init__(self, health_seconds: float) -> None:
        """``health_seconds``: how often health is looked at; while somebody waits it is each second."""
        self.health_seconds = health_seconds
        self.world: World = world()
        self.endpoint: Endpoint = endpoint_in(self.world, balanced(workers_max=3))
        self.clock = ManualClock()
        self.zero = self.clock.monotonic()
        self.ledger = Ledger()
        self.processes = [Process(self.clock, self.ledger, number, leading=number == 0) for number in (0, 1)]
        self.waiting: deque[tuple[Process, float, float]] = deque()
        self.under_way: list[tuple[float, int, Worker, Process, float]] = []
        self.shares = 0.0
        self.looked_at = -math.inf
        self.count = self.begun = 0

    def at(self) -> float:
        """The emulator's time."""
        return START + self.clock.monotonic() - self.zero

    def come(self, seconds: float) -> None:
        """A request, at the next process in turn."""
        self.count += 1
        process = self.processes[self.count % 2]
        self.world.arrive(self.endpoint, self.at())
        self.waiting.append((process, seconds, process.station.meter.start(self.clock.monotonic())))

    def begin(self) -> None:
        """Whoever waits goes to a worker that is up."""
        while self.waiting:
            worker = self.world.begin(self.endpoint, self.at())
            if worker is None:
                return
            process, seconds, token = self.waiting.popleft()
            process.warmth.answered()
            self.begun += 1
            heapq.heappush(self.under_way, (self.at() + seconds, self.begun, worker, process, token))

    def end(self) -> None:
        """Requests whose time is over are done."""
        while self.under_way and self.under_way[0][0] <= self.at():
            _, _, worker, process, token = heapq.heappop(self.under_way)
            self.world.done(worker, self.at())
            self.shares += process.station.meter.finish(token, self.clock.monotonic())

    async def round(self) -> None:
        """Health is looked at when it is due; both processes exchange."""
        self.world.advance(self.at())
        every = 1.0 if self.waiting else self.health_seconds
        if self.at() - self.looked_at >= every:
            self.looked_at = self.at()
            workers = self.endpoint.health()["workers"]
            sample = Sample(running=workers["running"], ready=workers["ready"], initializing=workers["initializing"])
            for process in self.processes:
                process.warmth.heard(sample)
        for process in self.processes:
            await process.watch.round()


@pytest.mark.parametrize(("every", "health_seconds"), [(1, 10.0), (20, 10.0), (100, 2.0), (400, 2.0)])
async def test_the_drift_of_a_real_trace_is_below_one_percent(every: int, health_seconds: float) -> None:
    """Its requests, or one in so many, over two processes; then the workers rest until they are gone.

    Where most of an hour is starts and stops it depends on how often health is looked at.
    """
    replay, coming = Replay(health_seconds), deque(arrivals()[::every])
    until = coming[-1][0] + 120
    while (now := replay.at() - START) < until:
        while coming and coming[0][0] <= now:
            replay.come(coming.popleft()[1])
        replay.begin()
        replay.end()
        await replay.round()
        replay.clock.advance(0.25)
    assert not replay.waiting
    assert not replay.under_way
    bill = replay.world.ledger.bill(replay.at(), endpoint_id=replay.endpoint.id)
    booked = replay.ledger.booked
    books = Books(
        attributed={token_tier().name: booked["attributed", token_tier().name, BASE]},
        starting=booked["starting", "", BASE],
        idle=booked["idle", "", BASE],
    )
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
    assert line.attributed == pytest.approx(replay.shares * 1000, rel=0.001)
    assert abs(line.drift) <= DRIFT_MAX
