"""What is booked, and what meters are told."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from gateway.errors import StoreUnavailable
from gateway.gpu_seconds.books import Entry, Report, books_of
from gateway.gpu_seconds.watch import ROUND_SECONDS, GpuSecondsWatch
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

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.in_flight: dict[int, dict[str, int]] = {}
        self.workers: dict[str, tuple[float, tuple[float, float]]] = {}
        self.booked: dict[Entry, float] = {}
        self.calls = 0
        self.lost = 0

    def book(self, entry: Entry, milliseconds: float) -> None:
        """Add to what is booked."""
        if milliseconds:
            self.booked[entry] = self.booked.get(entry, 0) + milliseconds

    def hear(self, base: str, workers: tuple[float, float]) -> None:
        """Book what workers did since somebody told of them last."""
        now = self.clock.monotonic()
        since, (starting, awake) = self.workers.get(base, (now, (0.0, 0.0)))
        self.book(("starting", "", base), (now - since) * starting * 1000)
        self.book(("awake", "", base), (now - since) * awake * 1000)
        self.workers[base] = now, workers


class Booking:
    """One process's way there."""

    def __init__(self, ledger: Ledger, process: int) -> None:
        self._ledger, self._process, self._latest = ledger, process, 0

    async def exchange(
        self, reports: Mapping[str, Report], batch: int, entries: Mapping[Entry, int], *, holds_seconds: float
    ) -> dict[str, int]:
        """As ``StoredBooks`` does."""
        assert holds_seconds > 0
        ledger = self._ledger
        ledger.calls += 1
        ledger.in_flight[self._process] = {base: report.in_flight for base, report in reports.items()}
        for base, report in reports.items():
            if report.workers is not None:
                ledger.hear(base, report.workers)
        if batch > self._latest:
            for entry, amount in entries.items():
                ledger.book(entry, amount)
            self._latest = batch if entries else self._latest
        if ledger.lost:
            ledger.lost -= 1
            raise StoreUnavailable("Away.", retry_after_seconds=1.0)
        others = [told for process, told in ledger.in_flight.items() if process != self._process]
        return {base: sum(told.get(base, 0) for told in others) for base in reports}


class Process:
    """A gateway process with one Runpod endpoint."""

    def __init__(
        self,
        clock: ManualClock,
        ledger: Ledger,
        number: int,
        *,
        leading: bool,
        balanced: bool = True,
        speed: float = 1.0,
    ) -> None:
        tier = token_tier()
        self.leading = leading
        self.warmth = Warmth(base=BASE, workers=Workers(max=3), clock=clock, balanced=balanced)
        self.station = Station(
            tier=tier,
            endpoint=replace(tier.endpoints[0], url=BASE),
            transport=FakeTransport(),
            api_key=None,
            clock=clock,
            warmth=self.warmth,
        )
        self.fleet = Fleet({tier.name: [self.station]})
        self.tier = tier.name
        self.watch = GpuSecondsWatch(
            lambda: [self.fleet], Booking(ledger, number), leading=lambda: self.leading, clock=clock, speed=speed
        )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ledger(clock: ManualClock) -> Ledger:
    return Ledger(clock)


async def test_every_second_of_a_worker_is_booked_as_what_it_was(clock: ManualClock, ledger: Ledger) -> None:
    """One second it loads; then it is awake for two, and two requests share the second of them."""
    process = Process(clock, ledger, 0, leading=True)
    process.warmth.heard(Sample(running=1))
    await process.watch.round()
    clock.advance(1)
    process.warmth.answered()
    process.warmth.heard(Sample(running=1, ready=1), at=clock.monotonic())
    await process.watch.round()
    clock.advance(1)
    await process.watch.round()
    meter = process.station.meter
    tokens = [meter.start(clock.monotonic()) for _ in range(2)]
    clock.advance(1)
    assert [meter.finish(token, clock.monotonic()) for token in tokens] == [0.5, 0.5]
    await process.watch.round()
    [books] = books_of([(entry, round(amount)) for entry, amount in ledger.booked.items()]).values()
    assert books.attributed == {process.tier: 1000}
    # What it was between two looks is split in the middle.
    assert (books.starting, books.awake, books.idle) == (500, 2500, 1500)
    assert books.seen == 3000


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


async def test_what_one_process_saw_goes_on_in_another(clock: ManualClock, ledger: Ledger) -> None:
    """The one that looked is killed; the other looks three seconds later: no second is missing, none booked twice."""
    one, other = Process(clock, ledger, 0, leading=True), Process(clock, ledger, 1, leading=False)
    for process in (one, other):
        process.warmth.heard(Sample(running=1, ready=1))
        await process.watch.round()
    clock.advance(2)
    await one.watch.round()
    clock.advance(3)
    other.leading = True
    await other.watch.round()
    clock.advance(1)
    await other.watch.round()
    assert ledger.booked == {("awake", "", BASE): 6000}


async def test_a_worker_that_has_gone_is_booked_up_to_the_middle_and_rounded_up(
    clock: ManualClock, ledger: Ledger
) -> None:
    """It was there at one look and not at the next, two seconds later; Runpod bills whole seconds."""
    process = Process(clock, ledger, 0, leading=True)
    process.warmth.heard(Sample(running=1, ready=1))
    await process.watch.round()
    clock.advance(2)
    process.warmth.heard(Sample())
    await process.watch.round()
    await process.watch.round()
    assert ledger.booked == {("awake", "", BASE): 2000 - 1000 + 500}


@pytest.mark.parametrize("leading", [False, True])
async def test_at_rest_only_who_looks_at_health_asks_the_store(
    clock: ManualClock, ledger: Ledger, *, leading: bool
) -> None:
    """It has to hear at once where somebody asks for a worker."""
    process = Process(clock, ledger, 0, leading=leading)
    process.warmth.heard(Sample())
    for _ in range(3):
        clock.advance(1)
        await process.watch.round()
    assert ledger.calls == 3 * leading


async def test_a_worker_that_another_process_asked_for_began_when_it_was_asked_for(
    clock: ManualClock, ledger: Ledger
) -> None:
    """Health was looked at long ago, and just after that."""
    one, other = Process(clock, ledger, 0, leading=True), Process(clock, ledger, 1, leading=False)
    for process in (one, other):
        process.warmth.heard(Sample())
        await process.watch.round()
    clock.advance(60)
    other.warmth.called()
    for process in (other, one):
        await process.watch.round()
    clock.advance(1)
    one.warmth.heard(Sample(running=1))
    await one.watch.round()
    await one.watch.round()
    assert ledger.booked == {("starting", "", BASE): 1000 + ROUND_SECONDS * 1000}


async def test_what_the_store_may_have_booked_is_told_again_as_the_same(clock: ManualClock, ledger: Ledger) -> None:
    process = Process(clock, ledger, 0, leading=True)
    process.warmth.heard(Sample(running=1, ready=1))
    process.station.meter.tell(clock.monotonic(), workers=1, elsewhere=0)
    token = process.station.meter.start(clock.monotonic())
    await process.watch.round()
    ledger.lost = 1
    for _ in range(3):
        clock.advance(1)
        await process.watch.round()
    assert process.station.meter.finish(token, clock.monotonic()) == 3
    await process.watch.round()
    assert ledger.booked == {("awake", "", BASE): 3000, ("attributed", process.tier, BASE): 3000}


async def test_who_does_not_look_at_health_books_only_its_requests(clock: ManualClock, ledger: Ledger) -> None:
    process = Process(clock, ledger, 0, leading=False)
    process.warmth.heard(Sample(running=2, ready=1))
    await process.watch.round()
    process.station.meter.start(clock.monotonic())
    clock.advance(1)
    await process.watch.round()
    assert set(ledger.booked) == {("attributed", process.tier, BASE)}


async def test_an_emulators_seconds_are_booked_as_it_bills_them(clock: ManualClock, ledger: Ledger) -> None:
    """Its clock runs ten times as fast as this one."""
    process = Process(clock, ledger, 0, leading=True, speed=10.0)
    process.warmth.heard(Sample(running=1, ready=1))
    await process.watch.round()
    process.station.meter.start(clock.monotonic())
    clock.advance(1)
    await process.watch.round()
    assert ledger.booked == {("awake", "", BASE): 10_000, ("attributed", process.tier, BASE): 10_000}
