"""Keeps every Runpod endpoint's meter told of the other processes and of workers, and books worker seconds.

Beside requests, a few times a second while something is in flight or some worker is billed: one command to the store
for all endpoints. Each process books what its own requests owe; what workers do beside is booked by the one that looks
at their health.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from gateway.errors import StoreUnavailable
from gateway.exchange import Clock
from gateway.gpu_seconds.books import Entry
from gateway.upstream.fleet import Fleet
from gateway.upstream.station import Station
from gateway.upstream.warmth import Warmth
from tiers.meter import WORKERS_UNTOLD
from tiers.worker_seconds import WorkerSight, Working

ROUND_SECONDS: Final = 0.25
"""How late a meter hears of the other processes, at most, while the store answers."""
HOLDS_SECONDS: Final = 2.0
"""So long a process that says nothing more still counts."""
GAP_SECONDS_MAX: Final = 2.0
"""What lies further back than this was not seen: it is not booked, and stays unexplained."""


class Booking(Protocol):
    """Where processes meet: ``gateway.gpu_seconds.books.StoredBooks``."""

    async def exchange(
        self, in_flight: Mapping[str, int], batch: int, entries: Mapping[Entry, int], *, holds_seconds: float
    ) -> dict[str, int]:
        """Tell what is in flight here and book ``entries``, in milliseconds; what is in flight elsewhere.

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
        self._at = clock.monotonic()
        self._booked: dict[Station, float] = {}
        self._sights: dict[str, WorkerSight] = {}
        self._elsewhere: dict[str, int] = {}
        self._owed: dict[Entry, float] = {}
        self._batch = 0
        self._told: dict[Entry, int] = {}
        self._spoke = False

    async def run(self) -> None:
        """Go round until cancelled."""
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            await self.round()

    async def round(self) -> None:
        """Count what has passed since the last one, tell and hear, and tell the meters."""
        now = self._clock.monotonic()
        passed, self._at = now - self._at, now
        groups = self._groups()
        in_flight = {base: sum(each.meter.in_flight for each in group) for base, (_, group) in groups.items()}
        seen = {base: self._see(warmth, now) for base, (warmth, _) in groups.items()}
        self._count(groups, now)
        if self._leading() and passed <= GAP_SECONDS_MAX:
            self._count_overhead(seen, in_flight, passed)
        await self._exchange(in_flight, awake=any(working.can or working.starting for working in seen.values()))
        for base, (warmth, group) in groups.items():
            workers = _workers(warmth, seen[base])
            for station in group:
                others = self._elsewhere.get(base, 0) + in_flight[base] - station.meter.in_flight
                station.meter.tell(self._clock.monotonic(), workers=workers, elsewhere=max(0, others))

    def _groups(self) -> dict[str, tuple[Warmth, list[Station]]]:
        """Endpoint → the stations that call it, of all tiers and generations."""
        groups: dict[str, tuple[Warmth, list[Station]]] = {}
        for fleet in self._fleets():
            for station in fleet.stations():
                if station.warmth is not None:
                    groups.setdefault(station.warmth.base, (station.warmth, []))[1].append(station)
        return groups

    def _see(self, warmth: Warmth, now: float) -> Working:
        if warmth.sample is None:
            return Working()
        sight = self._sights.get(warmth.base)
        if sight is None:
            sight = self._sights[warmth.base] = WorkerSight(balanced=warmth.balanced)
        return sight.see(warmth.sample, now * self._speed, warm=warmth.ready)

    def _count(self, groups: Mapping[str, tuple[Warmth, list[Station]]], now: float) -> None:
        """Note what requests owe since the last round."""
        booked: dict[Station, float] = {}
        for base, (_, group) in groups.items():
            for station in group:
                meter = station.meter
                meter.advance(now)
                self._owe(("attributed", station.health.tier, base), meter.attributed - self._booked.get(station, 0.0))
                booked[station] = meter.attributed
        self._booked = booked

    def _count_overhead(self, seen: Mapping[str, Working], in_flight: Mapping[str, int], passed: float) -> None:
        for base, working in seen.items():
            idle = working.idle(in_flight[base] + self._elsewhere.get(base, 0))
            self._owe(("starting", "", base), working.starting * passed)
            self._owe(("idle", "", base), idle * passed)

    def _owe(self, entry: Entry, seconds: float) -> None:
        if seconds > 0:
            self._owed[entry] = self._owed.get(entry, 0.0) + seconds * self._speed * 1000

    async def _exchange(self, in_flight: Mapping[str, int], *, awake: bool) -> None:
        """Tell and hear, while there is something to tell or some worker is ``awake``.

        A batch whose answer was lost is told again as it was, so that it is booked once.
        """
        if not self._told:
            self._batch += 1
            self._told = {entry: int(owed) for entry, owed in self._owed.items() if owed >= 1}
            for entry, whole in self._told.items():
                self._owed[entry] -= whole
        speaks = bool(self._told) or any(in_flight.values()) or (awake and self._leading())
        if not speaks and not self._spoke:
            self._elsewhere = {}
            return
        try:
            self._elsewhere = await self._booking.exchange(
                in_flight, self._batch, self._told, holds_seconds=HOLDS_SECONDS
            )
        except StoreUnavailable:
            self._elsewhere = {}
            return
        self._told = {}
        self._spoke = speaks


def _workers(warmth: Warmth, working: Working) -> float:
    """How many may be busy. Health comes late: where one works at all, there is one at least."""
    if warmth.sample is None:
        return WORKERS_UNTOLD
    return max(1, working.can) if warmth.ready else 0
