"""What is booked, and what meters are told."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from gateway.errors import StoreUnavailable
from gateway.gpu_seconds.books import Entry
from gateway.gpu_seconds.watch import GpuSecondsWatch
from gateway.upstream.fleet import Fleet
from gateway.upstream.station import Station
from gateway.upstream.warmth import Warmth
from tests.doubles.clock import ManualClock
from tests.doubles.transport import FakeTransport
from tests.gateway.samples import token_tier
from tiers.tiermap import Workers
from tiers.warmth import Sample

BASE = "https://api.runpod.test/v2/e1"


class Ledger:
    """A store for all processes; ``lost`` is how many answers are lost after what was told is booked."""

    def __init__(self) -> None:
        self.in_flight: dict[int, dict[str, int]] = {}
        self.booked: dict[Entry, int] = {}
        self.calls = 0
        self.lost = 0


class Booking:
    """One process's way there."""

    def __init__(self, ledger: Ledger, process: int) -> None:
        self._ledger, self._process, self._latest = ledger, process, 0

    async def exchange(
        self, in_flight: Mapping[str, int], batch: int, entries: Mapping[Entry, int], *, holds_seconds: float
    ) -> dict[str, int]:
        """As ``StoredBooks`` does."""
        assert holds_seconds > 0
        ledger = self._ledger
        ledger.calls += 1
        ledger.in_flight[self._process] = dict(in_flight)
        if batch > self._latest:
            for entry, amount in entries.items():
                ledger.booked[entry] = ledger.booked.get(entry, 0) + amount
            self._latest = batch if entries else self._latest
        if ledger.lost:
            ledger.lost -= 1
            raise StoreUnavailable("Away.", retry_after_seconds=1.0)
        others = [told for process, told in ledger.in_flight.items() if process != self._process]
        return {base: sum(told.get(base, 0) for told in others) for base in in_flight}


class Process:
    """A gateway process with one Runpod endpoint."""

    def __init__(self, clock: ManualClock, ledger: Ledger, number: int, *, leading: bool) -> None:
        tier = token_tier()
        self.warmth = Warmth(base=BASE, workers=Workers(max=3), clock=clock, balanced=True)
        self.station = Station(
            tier=tier,
            endpoint=replace(tier.endpoints[0], url=BASE),
            transport=FakeTransport(),
            api_key=None,
            clock=clock,
            warmth=self.warmth,
        )
        fleet = Fleet({tier.name: [self.station]})
        self.tier = tier.name
        self.watch = GpuSecondsWatch(lambda: [fleet], Booking(ledger, number), leading=lambda: leading, clock=clock)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


async def test_every_second_of_a_worker_is_booked_as_what_it_was(clock: ManualClock, ledger: Ledger) -> None:
    """One second it loads; one second it is idle; then two requests share one second of it."""
    process = Process(clock, ledger, 0, leading=True)
    process.warmth.heard(Sample(running=1))
    clock.advance(1)
    await process.watch.round()
    process.warmth.heard(Sample(running=1, ready=1))
    clock.advance(1)
    await process.watch.round()
    meter = process.station.meter
    tokens = [meter.start(clock.monotonic()) for _ in range(2)]
    clock.advance(1)
    assert [meter.finish(token, clock.monotonic()) for token in tokens] == [0.5, 0.5]
    await process.watch.round()
    booked = {what: amount for (what, _, _), amount in ledger.booked.items()}
    assert booked["starting"] == 1000
    assert booked["attributed"] == 1000
    assert ledger.booked["attributed", process.tier, BASE] == 1000
    assert booked["idle"] == pytest.approx(1000 + 1000)


async def test_processes_share_a_worker(clock: ManualClock, ledger: Ledger) -> None:
    """Three requests over two processes on one worker: a third of a second each, once they know of each other."""
    one, other = Process(clock, ledger, 0, leading=True), Process(clock, ledger, 1, leading=False)
    for process in (one, other):
        process.warmth.heard(Sample(running=1, ready=1))
    at = clock.monotonic()
    meters = [one.station.meter, one.station.meter, other.station.meter]
    tokens = [meter.start(at) for meter in meters]
    for process in (one, other, one):
        await process.watch.round()
    clock.advance(3)
    shares = [meter.finish(token, clock.monotonic()) for meter, token in zip(meters, tokens, strict=True)]
    assert shares == pytest.approx([1.0, 1.0, 1.0])


async def test_a_worker_is_idle_once_the_last_request_elsewhere_has_ended(clock: ManualClock, ledger: Ledger) -> None:
    """Also where the process that looks had none itself."""
    one, other = Process(clock, ledger, 0, leading=True), Process(clock, ledger, 1, leading=False)
    for process in (one, other):
        process.warmth.heard(Sample(running=1, ready=1))
    token = other.station.meter.start(clock.monotonic())
    for process in (other, one):
        await process.watch.round()
    clock.advance(1)
    other.station.meter.finish(token, clock.monotonic())
    for process in (other, one):
        await process.watch.round()
    clock.advance(1)
    await one.watch.round()
    assert ledger.booked == {("attributed", other.tier, BASE): 1000, ("idle", "", BASE): 1000}


async def test_an_endpoint_at_rest_asks_nothing_of_the_store(clock: ManualClock, ledger: Ledger) -> None:
    process = Process(clock, ledger, 0, leading=True)
    process.warmth.heard(Sample())
    for _ in range(3):
        clock.advance(1)
        await process.watch.round()
    assert ledger.calls == 0


async def test_what_the_store_may_have_booked_is_told_again_as_the_same(clock: ManualClock, ledger: Ledger) -> None:
    process = Process(clock, ledger, 0, leading=True)
    process.warmth.heard(Sample(running=1))
    ledger.lost = 1
    for _ in range(3):
        clock.advance(1)
        await process.watch.round()
    clock.advance(0)
    await process.watch.round()
    assert ledger.booked == {("starting", "", BASE): 3000}


async def test_who_does_not_look_at_health_books_only_its_requests(clock: ManualClock, ledger: Ledger) -> None:
    process = Process(clock, ledger, 0, leading=False)
    process.warmth.heard(Sample(running=2, ready=1))
    process.station.meter.start(clock.monotonic())
    clock.advance(1)
    await process.watch.round()
    assert set(ledger.booked) == {("attributed", process.tier, BASE)}


async def test_what_lies_too_far_back_was_not_seen(clock: ManualClock, ledger: Ledger) -> None:
    process = Process(clock, ledger, 0, leading=True)
    process.warmth.heard(Sample(running=1))
    clock.advance(60)
    await process.watch.round()
    assert ledger.booked == {}
