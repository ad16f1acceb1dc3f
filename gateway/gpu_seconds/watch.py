"""Keeps every Runpod endpoint's meter told of the other processes and of workers, and books worker seconds.

Beside requests, a few times a second, one command to the store for all endpoints: of each process that has something in
flight, and of the one that looks at health. Each books what its own requests owe; the one that looks tells of workers,
and the store books their seconds from one word to the next.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from gateway.errors import StoreUnavailable
from gateway.exchange import Clock
from gateway.gpu_seconds.books import Entry, Report
from gateway.upstream.fleet import Fleet
from gateway.upstream.station import Station
from gateway.upstream.warmth import Warmth
from tiers.meter import WORKERS_UNTOLD
from tiers.warmth import State
from tiers.worker_moment import Asked, Moment
from tiers.worker_seconds import WorkerSight, Working

ROUND_SECONDS: Final = 0.25
"""How late a meter hears of the other processes, at most, while the store answers."""
ROUND_SECONDS_MIN: Final = 0.05
"""A round is shorter where Runpod's clock is an emulator's and runs faster, but no shorter than this."""
HOLDS_SECONDS: Final = 2.0
"""So long a process that says nothing more still counts."""


class Booking(Protocol):
    """Where processes meet: ``gateway.gpu_seconds.books.StoredBooks``."""

    async def exchange(
        self, reports: Mapping[str, Report], batch: int, entries: Mapping[Entry, int], *, holds_seconds: float
    ) -> dict[str, int]:
        """Tell of each endpoint and book ``entries``, in milliseconds; what is in flight elsewhere.

        Raises:
            StoreUnavailable: Nothing was heard.
        """


class GpuSecondsWatch:
    """See the module; its owner runs ``run`` beside requests."""

    def __init__(
        self,
        fleets: Callable[[], Sequence[Fleet]],
        booking: Booking,
        *,
        leading: Callable[[], bool],
        clock: Clock,
        speed: float = 1.0,
    ) -> None:
        """``leading``: whether this process looks at health; ``speed``: seconds of Runpod's clock in each real one."""
        self._fleets = fleets
        self._booking = booking
        self._leading = leading
        self._clock = clock
        self._speed = speed
        self._round_seconds = max(ROUND_SECONDS / speed, ROUND_SECONDS_MIN)
        self._booked: dict[Station, float] = {}
        self._sights: dict[str, WorkerSight] = {}
        self._elsewhere: dict[str, int] = {}
        self._asked: dict[str, Asked] = {}
        self._at = clock.monotonic()
        self._owed: dict[Entry, float] = {}
        self._batch = 0
        self._told: dict[Entry, int] = {}
        self._spoke = False

    async def run(self) -> None:
        """Go round until cancelled."""
        while True:
            await asyncio.sleep(self._round_seconds)
            await self.round()

    async def round(self) -> None:
        """Count what has passed since the last one, tell and hear, and tell the meters."""
        now = self._clock.monotonic()
        groups = self._groups()
        in_flight = {base: sum(each.meter.in_flight for each in group) for base, (_, group) in groups.items()}
        asking = {base: in_flight[base] + _held(warmth) for base, (warmth, _) in groups.items()}
        self._note_asking(asking, since=self._at, until=now)
        self._at = now
        seen = {base: self._see(warmth, now, asking[base]) for base, (warmth, _) in groups.items()}
        self._count(groups, now)
        leading = self._leading()
        if leading:
            self._count_before(seen)
        await self._exchange(asking, seen, leading=leading)
        for base, (warmth, group) in groups.items():
            workers = _workers(warmth, seen[base])
            for station in group:
                others = self._elsewhere.get(base, 0) + in_flight[base] - station.meter.in_flight
                station.meter.tell(self._clock.monotonic(), workers=workers, elsewhere=max(0, others))

    def _note_asking(self, asking: Mapping[str, int], *, since: float, until: float) -> None:
        """Note for which endpoints somebody asks now and did not before; in seconds of Runpod's clock."""
        earliest, until = since * self._speed, until * self._speed
        asked = Asked(earliest=earliest, likely=(earliest + until) / 2)
        self._asked = {
            base: self._asked.get(base, asked)
            for base, count in asking.items()
            if count or self._elsewhere.get(base, 0)
        }

    def _note_elsewhere(self) -> None:
        """The same for what was just heard of: it came within a round before another process told, on average half of
        one, and was told within a round before now.
        """
        now = self._clock.monotonic()
        asked = Asked(
            earliest=(now - 2 * self._round_seconds) * self._speed, likely=(now - self._round_seconds) * self._speed
        )
        for base, count in self._elsewhere.items():
            if count:
                self._asked.setdefault(base, asked)

    def _groups(self) -> dict[str, tuple[Warmth, list[Station]]]:
        """Endpoint → the stations that call it, of all tiers and generations."""
        groups: dict[str, tuple[Warmth, list[Station]]] = {}
        for fleet in self._fleets():
            for station in fleet.stations():
                if station.warmth is not None:
                    groups.setdefault(station.warmth.base, (station.warmth, []))[1].append(station)
        return groups

    def _see(self, warmth: Warmth, now: float, asking: int) -> Working:
        if warmth.sample is None:
            return Working()
        sight = self._sights.get(warmth.base)
        if sight is None:
            sight = self._sights[warmth.base] = WorkerSight(
                balanced=warmth.balanced,
                idle_timeout=warmth.workers.idle_timeout,
                load=warmth.wake_seconds() * self._speed,
            )
        return sight.see(
            Moment(
                now=now * self._speed,
                sample=warmth.sample,
                sampled_at=warmth.sampled_at * self._speed,
                warm=warmth.ready,
                in_flight=asking + self._elsewhere.get(warmth.base, 0),
                asked=self._asked.get(warmth.base),
            )
        )

    def _count(self, groups: Mapping[str, tuple[Warmth, list[Station]]], now: float) -> None:
        """Note what requests owe since the last round."""
        booked: dict[Station, float] = {}
        for base, (_, group) in groups.items():
            for station in group:
                meter = station.meter
                meter.advance(now)
                passed = (meter.attributed - self._booked.get(station, 0.0)) * self._speed
                self._owe(("attributed", station.health.tier, base), passed)
                booked[station] = meter.attributed
        self._booked = booked

    def _count_before(self, seen: Mapping[str, Working]) -> None:
        """Note what workers did before it was seen."""
        for base, working in seen.items():
            self._owe(("awake", "", base), working.awake_before)
            self._owe(("starting", "", base), working.starting_before)

    def _owe(self, entry: Entry, seconds: float) -> None:
        if seconds:
            self._owed[entry] = self._owed.get(entry, 0.0) + seconds * 1000

    async def _exchange(self, asking: Mapping[str, int], seen: Mapping[str, Working], *, leading: bool) -> None:
        """Tell and hear, while there is something to tell; who looks at health always hears whether somebody asks.

        A batch whose answer was lost is told again as it was, so that it is booked once.
        """
        if not self._told:
            self._batch += 1
            self._told = {entry: int(owed) for entry, owed in self._owed.items() if abs(owed) >= 1}
            for entry, whole in self._told.items():
                self._owed[entry] -= whole
        speaks = bool(self._told) or any(asking.values()) or (leading and bool(asking))
        if not speaks and not self._spoke:
            self._elsewhere = {}
            return
        reports = {
            base: Report(in_flight=count, workers=self._passing(seen[base]) if leading else None)
            for base, count in asking.items()
        }
        try:
            self._elsewhere = await self._booking.exchange(
                reports, self._batch, self._told, holds_seconds=HOLDS_SECONDS
            )
        except StoreUnavailable:
            self._elsewhere = {}
            return
        self._told = {}
        self._spoke = speaks
        self._note_elsewhere()

    def _passing(self, working: Working) -> tuple[float, float]:
        return working.starting * self._speed, working.awake * self._speed


def _held(warmth: Warmth) -> int:
    """How many ask for a worker and are not in flight, since none works: they owe nothing yet, but one may start."""
    return 0 if warmth.ready else max(warmth.waiting, warmth.state is State.WAKING)


def _workers(warmth: Warmth, working: Working) -> float:
    """How many may be busy. Health comes late: where one works at all, there is one at least."""
    if warmth.sample is None:
        return WORKERS_UNTOLD
    return max(1, working.awake) if warmth.ready else 0
