"""Every endpoint of the tier map, and which endpoint of a tier gets a request."""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace

from gateway.exchange import Clock
from gateway.upstream.health import Health, Report, untold
from gateway.upstream.look import Look
from gateway.upstream.probe import probe_of
from gateway.upstream.station import Station
from gateway.upstream.transport import Transport
from gateway.upstream.transports import MakeTransport, directly
from gateway.upstream.warmth import Warmth
from gateway.upstream.watch import Watch
from tiers.affinity import preferred
from tiers.tiermap import Endpoint, Tier, TierMap, Timeouts
from tiers.warmth import Sample


class _Group:
    """The stations of one tier; ``turn`` is the one at which the next search for the least loaded begins."""

    __slots__ = ("stations", "turn")

    def __init__(self, stations: Sequence[Station]) -> None:
        self.stations = stations
        self.turn = 0


class Fleet:
    """The stations of every tier."""

    def __init__(self, stations: Mapping[str, Sequence[Station]]) -> None:
        """``stations``: tier name → its stations, at least one."""
        self._groups = {name: _Group(of_tier) for name, of_tier in stations.items()}
        self._alone = {name: of_tier[0] for name, of_tier in stations.items() if len(of_tier) == 1}
        """Of most tiers: found without a look at their groups, which in a large installation is one at cold memory."""
        self._watch = Watch(list(stations.values()))

    @classmethod
    def of(
        cls,
        tier_map: TierMap,
        *,
        connect: Callable[[Endpoint, Tier], Transport],
        api_key: Callable[[Endpoint], str | None],
        clock: Clock,
        transports: MakeTransport = directly,
        warmth: Callable[[Endpoint], Warmth | None] = lambda _: None,
        report: Report = untold,
        before: "Fleet | None" = None,
    ) -> "Fleet":
        """A fleet for ``tier_map``; ``connect`` makes the way to a URL, ``transports`` an endpoint's transport over it,
        ``warmth`` knows whether its workers are awake, ``api_key`` its key.

        Tiers whose endpoints have one URL, as for several adapters of one model, share its connections where they wait
        equally long. ``report`` is told of endpoints that are left alone and asked again. What is known of an
        endpoint's condition is taken over from ``before``, the fleet of the tier map until now, where both have it.
        """
        made: dict[tuple[str, Timeouts], Transport] = {}

        def way(endpoint: Endpoint, tier: Tier) -> Transport:
            key = (endpoint.url, endpoint.timeouts)
            if key not in made:
                made[key] = connect(endpoint, tier)
            return made[key]

        stations: dict[str, tuple[Station, ...]] = {}
        for name, tier in tier_map.tiers.items():
            of_tier = []
            for endpoint in tier.endpoints:
                key, of_workers = api_key(endpoint), warmth(endpoint)
                station = Station(
                    tier=tier,
                    endpoint=endpoint,
                    transport=transports(endpoint, tier, way, warmth=of_workers, api_key=key),
                    api_key=key,
                    clock=clock,
                    report=report,
                    warmth=of_workers,
                )
                if of_workers is not None:
                    station.look = Look(way(replace(endpoint, url=of_workers.base), tier), [station.headers])
                station.probe = probe_of(
                    endpoint, tier, station.transport, station.headers, way, heard=_heard(of_workers)
                )
                station.health.probed = station.probe is not None
                of_tier.append(station)
            stations[name] = tuple(of_tier)
        fleet = cls(stations)
        if before is not None:
            fleet._take_over(before)
        return fleet

    def choose(self, tier: Tier, affinity: bytes | None = None, avoid: Container[str] = ()) -> Station | None:
        """The station that is to serve a request of ``tier``, or ``None`` where no endpoint may be asked now.

        Of those that are well the one with the fewest requests in flight from this process, in turn where they are
        even; or, with ``affinity``, the one that these bytes belong to. One whose workers sleep is taken only where no
        other is well, and one that ``avoid`` names only where no other is left at all.
        """
        alone = self._alone.get(tier.name)
        if alone is not None:
            health = alone.health
            return alone if health.well or health.rested() or health.begin_trial() else None
        group = self._groups[tier.name]
        for station in group.stations:
            health = station.health
            if not health.well and not health.rested() and station.endpoint.name not in avoid and health.begin_trial():
                return station
        if affinity is not None:
            return _preferred(group, affinity, avoid) or _preferred(group, affinity, ())
        return _least_loaded(group, avoid) or _least_loaded(group, ())

    def retry_after(self, tier: Tier) -> float:
        """In how many seconds an endpoint of ``tier`` may be asked, as far as is known now; 0 where one may be."""
        return min(station.health.wait_seconds() for station in self._groups[tier.name].stations)

    def stations(self) -> list[Station]:
        """All of them, in the tier map's order."""
        return [station for group in self._groups.values() for station in group.stations]

    def conditions(self) -> list[Health]:
        """How every endpoint is."""
        return [station.health for station in self.stations()]

    async def run(self) -> None:
        """Ask endpoints that were left alone whether they are well again, and eject outliers; until cancelled."""
        await self._watch.run()

    async def aclose(self) -> None:
        """Close every connection that is idle, and the others when their answers end."""
        transports = {station.transport for station in self.stations()}
        transports |= {station.probe.transport for station in self.stations() if station.probe is not None}
        transports |= {station.look.transport for station in self.stations() if station.look is not None}
        for transport in transports:
            await transport.aclose()

    def _take_over(self, before: "Fleet") -> None:
        known = {_identity(station): station.health for station in before.stations()}
        for station in self.stations():
            health = known.get(_identity(station))
            if health is not None:
                health.settings, health.probed = station.health.settings, station.health.probed
                station.health = health


def _heard(warmth: Warmth | None) -> Callable[[Sample], None] | None:
    """Who is told what a probe heard of workers."""
    return None if warmth is None else warmth.heard


def _identity(station: Station) -> tuple[str, str, str]:
    return station.health.tier, station.endpoint.name, station.endpoint.url


def _sleeps(station: Station) -> bool:
    return station.warmth is not None and not station.warmth.ready


def _least_loaded(group: _Group, avoid: Container[str]) -> Station | None:
    stations = group.stations
    at = group.turn = (group.turn + 1) % len(stations)
    best: Station | None = None
    best_sleeps = False
    for _ in range(len(stations)):
        station = stations[at]
        sleeps = _sleeps(station)
        if best is None:
            better = True
        elif sleeps == best_sleeps:
            better = station.meter.in_flight < best.meter.in_flight
        else:
            better = best_sleeps
        if better and station.health.well and station.endpoint.name not in avoid:
            best, best_sleeps = station, sleeps
        at = (at + 1) % len(stations)
    return best


def _preferred(group: _Group, affinity: bytes, avoid: Container[str]) -> Station | None:
    left = [station for station in group.stations if station.health.well and station.endpoint.name not in avoid]
    if not left:
        return None
    left = [station for station in left if not _sleeps(station)] or left
    return left[preferred(affinity, [each.place for each in left], [each.meter.in_flight for each in left])]
