"""Every endpoint of the tier map with its connections, its key and what is in flight on it from this process."""

from collections.abc import Callable, Mapping

from gateway.upstream.transport import Transport
from gateway.wire.header_lines import HeaderLines
from tiers.meter import Meter
from tiers.tiermap import Endpoint, Tier, TierMap, Timeouts


class Station:
    """One endpoint as this process sees it.

    Attributes:
        headers: What every request to it carries: its own key, where it has one.
        meter: Splits its busy seconds among the requests in flight.
    """

    __slots__ = ("endpoint", "headers", "meter", "transport")

    def __init__(self, *, endpoint: Endpoint, transport: Transport, api_key: str | None) -> None:
        self.endpoint = endpoint
        self.transport = transport
        self.headers = HeaderLines([(b"authorization", b"Bearer " + api_key.encode())] if api_key else [])
        self.meter = Meter()


class Fleet:
    """The stations of every tier."""

    def __init__(self, stations: Mapping[str, tuple[Station, ...]]) -> None:
        """``stations``: tier name → its stations, at least one."""
        self._stations = stations

    @classmethod
    def of(
        cls,
        tier_map: TierMap,
        *,
        connect: Callable[[Endpoint, Tier], Transport],
        api_key: Callable[[Endpoint], str | None],
    ) -> "Fleet":
        """A fleet for ``tier_map``; ``connect`` makes an endpoint's transport, ``api_key`` knows its key.

        Tiers whose endpoints have one URL, as for several adapters of one model, share its connections where they wait
        equally long.
        """
        made: dict[tuple[str, Timeouts], Transport] = {}
        stations: dict[str, tuple[Station, ...]] = {}
        for name, tier in tier_map.tiers.items():
            of_tier = []
            for endpoint in tier.endpoints:
                way = (endpoint.url, tier.timeouts)
                if way not in made:
                    made[way] = connect(endpoint, tier)
                of_tier.append(Station(endpoint=endpoint, transport=made[way], api_key=api_key(endpoint)))
            stations[name] = tuple(of_tier)
        return cls(stations)

    def choose(self, tier: Tier) -> Station:
        """The tier's station with the fewest requests in flight from this process."""
        stations = self._stations[tier.name]
        return stations[0] if len(stations) == 1 else min(stations, key=lambda station: station.meter.in_flight)

    async def aclose(self) -> None:
        """Close every connection that is idle, and the others when their answers end."""
        for transport in {station.transport for stations in self._stations.values() for station in stations}:
            await transport.aclose()
