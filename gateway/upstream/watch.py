"""What goes on beside requests: endpoints that were left alone are asked whether they are well again, and those of one
tier are compared with each other.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Final

from gateway.upstream.probe import Probe
from gateway.upstream.station import Station
from tiers.outliers import outliers

LOOK_SECONDS: Final = 0.1
"""How often deadlines are looked at: how much later than due a probe may begin."""
COMPARED_LOOKS: Final = 100
"""Endpoints of a tier are compared at each so manieth look: every 10 seconds …"""
SPAN_COMPARISONS: Final = 3
"""… and a span of what they are compared by lasts so many comparisons; two spans count."""


class Watch:
    """Watches over the stations of every tier."""

    def __init__(self, tiers: Collection[Sequence[Station]], *, look_seconds: float = LOOK_SECONDS) -> None:
        """``tiers``: the stations of each tier."""
        self._stations = [station for stations in tiers for station in stations]
        self._compared = [stations for stations in tiers if len(stations) > 1]
        self._look_seconds = look_seconds
        self._looks = 0

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(self._look_seconds)
                self.look(group)

    def look(self, group: asyncio.TaskGroup) -> None:
        """Begin the probes that are due, as tasks of ``group``, and compare where it is time to."""
        for station in self._stations:
            if not station.health.well and station.probe is not None and station.health.begin_probe():
                group.create_task(_ask(station, station.probe))
        self._looks += 1
        if self._looks % COMPARED_LOOKS == 0:
            for stations in self._compared:
                self._compare(stations)

    def _compare(self, stations: Sequence[Station]) -> None:
        tallies = [tally for station in stations if (tally := station.tally) is not None]
        showings = [
            tally.showing(out=not station.health.rested()) for station, tally in zip(stations, tallies, strict=True)
        ]
        for place, reason in outliers(showings):
            stations[place].health.eject(reason)
            tallies[place].clear()
        if self._looks % (COMPARED_LOOKS * SPAN_COMPARISONS) == 0:
            for tally in tallies:
                tally.turn()


async def _ask(station: Station, probe: Probe) -> None:
    station.health.probe_ended(good=await probe.ask())
