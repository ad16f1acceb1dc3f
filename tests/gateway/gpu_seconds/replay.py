"""Gateway processes before an emulated endpoint, on a clock that goes from one thing that happens to the next."""

import asyncio
import heapq
import json
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import count

from deploy.emulator.model.bill import Bill
from deploy.emulator.model.config import EndpointConfig
from deploy.emulator.model.endpoint import Endpoint
from deploy.emulator.model.job import JobStatus
from deploy.emulator.model.worker import Worker
from gateway.gpu_seconds.books import books_of
from gateway.upstream.health import untold
from gateway.upstream.health_poll import HealthPoll
from gateway.upstream.look import Look
from gateway.upstream.runpod_times import RunpodTimes
from gateway.upstream.shared_health import UNUSED, News
from gateway.upstream.transport import UpstreamRequest
from tests.deploy.emulator.worlds import START, endpoint_in, status_of, world
from tests.doubles.clock import ManualClock
from tests.doubles.transport import FakeResponse
from tests.gateway.gpu_seconds.test_watch import BASE, Ledger, Process
from tiers.bill import Books

ROUND_SECONDS, POLL_SECONDS = 0.25, 1.0
TICK_SECONDS = 1e-6
"""Time goes on at least by so much: Unix seconds have no finer parts."""
NEVER = float("-inf")


class Meeting:
    """Where the health polls of all processes tell each other; the first one looks."""

    def __init__(self) -> None:
        self.told: dict[int, News] = {}

    async def exchange(self, number: int, news: Sequence[News]) -> tuple[bool, list[News]]:
        """As ``SharedHealth`` does, for one endpoint."""
        [own] = news
        before = self.told.get(number)
        if own.sample is None and before is not None:
            own = replace(own, sample=before.sample, sampled_at=before.sampled_at)
        self.told[number] = own
        others = [each for other, each in self.told.items() if other != number]
        nothing = News(base=BASE, level=UNUSED, waiting=0, worked_at=NEVER, sample=None, sampled_at=NEVER)
        latest = max([nothing, *others], key=lambda each: each.sampled_at)
        heard = replace(
            latest,
            level=max([UNUSED, *(each.level for each in others)]),
            waiting=sum(each.waiting for each in others),
            worked_at=max([NEVER, *(each.worked_at for each in others)]),
        )
        return number == 0, [heard]


class Seat:
    """One process's place there; fulfils ``SharedHealth``."""

    def __init__(self, meeting: Meeting, number: int) -> None:
        self._meeting, self._number = meeting, number

    async def exchange(self, news: Sequence[News], *, holds_seconds: float) -> tuple[bool, list[News]]:
        """See ``SharedHealth``."""
        assert holds_seconds > 0
        return await self._meeting.exchange(self._number, news)


class HealthAddress:
    """A way to the endpoint's health; fulfils ``Transport``."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.looks = 0

    async def send(self, request: UpstreamRequest) -> FakeResponse:
        """What its health address says."""
        assert request.path == b"/health"
        self.looks += 1
        return FakeResponse(json.dumps(self._endpoint.health()).encode())

    async def aclose(self) -> None:
        """Nothing is open."""


class Replay:
    """Requests over two processes, until all have ended and the workers have gone.

    Attributes:
        shares: What the requests owed, in seconds.
    """

    def __init__(self, config: EndpointConfig) -> None:
        self.balanced = config.type == "LOAD_BALANCER"
        self.world = world(balance_usd=1e6)
        self.endpoint = endpoint_in(self.world, config)
        self.clock = ManualClock()
        self.zero = self.clock.monotonic()
        self.ledger = Ledger(self.clock)
        self.health = HealthAddress(self.endpoint)
        self.shares = 0.0
        self._things: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._waiting: deque[tuple[Process, float]] = deque()
        meeting = Meeting()
        self.processes = [
            Process(self.clock, self.ledger, number, leading=number == 0, balanced=self.balanced) for number in (0, 1)
        ]
        self.polls = [self._poll(process, Seat(meeting, number)) for number, process in enumerate(self.processes)]

    async def run(self, arrivals: Iterable[tuple[float, float]]) -> None:
        """Let requests come: when, in seconds from the start, and how long each takes."""
        last = 0.0
        for number, (at, seconds) in enumerate(arrivals):
            process, last = self.processes[number % 2], at
            self._at(at + 5.1, partial(self._come, process, seconds))
        rounds, next_poll = deque(zip((0.0, ROUND_SECONDS / 2), self.processes, strict=True)), 0.07
        while self._things or self._waiting or self._billed() or self._now() < last:
            due = min(rounds[0][0], next_poll, self._things[0][0] if self._things else next_poll)
            if (own := self.world.next_at()) is not None:
                due = min(due, own - START)
            self.clock.advance(max(due - self._now(), TICK_SECONDS))
            self.world.advance(self._unix())
            while self._things and self._things[0][0] <= self._now():
                heapq.heappop(self._things)[2]()
            self._begin()
            if next_poll <= self._now():
                next_poll += POLL_SECONDS
                await self._look()
            while rounds[0][0] <= self._now():
                at, process = rounds.popleft()
                await process.watch.round()
                rounds.append((at + ROUND_SECONDS, process))
        for _ in range(40):  # what is over is seen, and told
            self.clock.advance(ROUND_SECONDS)
            await self._look()
            for process in self.processes:
                await process.watch.round()

    def bill(self) -> Bill:
        """The emulator's."""
        return self.world.ledger.bill(self._unix(), endpoint_id=self.endpoint.id)

    def books(self) -> Books:
        """What was booked."""
        return books_of([(entry, round(amount)) for entry, amount in self.ledger.booked.items()])[BASE]

    def _poll(self, process: Process, seat: Seat) -> HealthPoll:
        process.station.look = Look(self.health, [])
        return HealthPoll(
            lambda: [process.fleet],
            seat,
            times=RunpodTimes(),
            clock=self.clock,
            report=untold,
            draw=lambda: 0.5,
        )

    async def _look(self) -> None:
        async with asyncio.TaskGroup() as group:
            for poll in self.polls:
                await poll.round(group)

    def _come(self, process: Process, seconds: float) -> None:
        if self.balanced:
            self.world.arrive(self.endpoint, self._unix())
            if not process.warmth.ready:
                process.warmth.called()
            process.warmth.waiting += 1
            self._waiting.append((process, seconds))
            return
        token = process.station.meter.start(self.clock.monotonic())
        process.warmth.under_way += 1
        process.warmth.called()
        job = self.world.submit(self.endpoint.id, {"prompt": "x"}, self._unix())

        def look() -> None:
            """Ask after it: a few times a second, as the gateway does."""
            if status_of(job) is JobStatus.IN_QUEUE:
                self._at(self._now() + 0.25, look)
                return
            process.warmth.answered()
            self._at(max(self._now(), (job.started_at or 0.0) - START + seconds), end)

        def end() -> None:
            self.world.finish(job, self._unix())
            self._at(self._now() + 0.05, land)

        def land() -> None:
            process.warmth.under_way -= 1
            process.warmth.answered()
            self.shares += process.station.meter.finish(token, self.clock.monotonic())

        self._at(self._now() + 0.1, look)

    def _begin(self) -> None:
        """Whoever waits for a load balancer goes to a worker that is up."""
        while self._waiting and (worker := self.world.begin(self.endpoint, self._unix())) is not None:
            process, seconds = self._waiting.popleft()
            process.warmth.waiting -= 1
            process.warmth.under_way += 1
            process.warmth.answered()
            token = process.station.meter.start(self.clock.monotonic())

            def end(process: Process = process, token: float = token, worker: Worker = worker) -> None:
                self.world.done(worker, self._unix())
                process.warmth.under_way -= 1
                self.shares += process.station.meter.finish(token, self.clock.monotonic())

            self._at(self._now() + seconds, end)

    def _at(self, when: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._things, (when, next(self._numbers), do))

    def _now(self) -> float:
        return self.clock.monotonic() - self.zero

    def _unix(self) -> float:
        return START + self._now()

    def _billed(self) -> bool:
        return any(worker.has_container for worker in self.endpoint.workers.values())
