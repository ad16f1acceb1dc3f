"""One attempt on its way at one endpoint, and the answer that came."""

from collections.abc import Sequence

from gateway.exchange import Clock
from gateway.upstream.station import Station
from gateway.upstream.transport import UpstreamResponse
from gateway.wire.events import EventStream
from gateway.wire.headers import Header
from tiers.usage import Usage


class BegunAnswer:
    """An answer that can be relayed.

    Where ``events`` is set it is a stream: ``body`` is what of it may be sent on already, the rest is still to be read
    from ``response``. Otherwise ``body`` is the whole answer, and ``usage`` what it reports.
    """

    __slots__ = ("body", "events", "headers", "response", "status", "usage")

    def __init__(
        self,
        *,
        status: int,
        headers: Sequence[Header],
        body: bytes,
        response: UpstreamResponse,
        usage: Usage | None = None,
        events: EventStream | None = None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.response = response
        self.usage = usage
        self.events = events


class Flight:
    """An admitted attempt at the endpoint that was chosen for it; ``started`` is the meter's token.

    ``gpu_seconds`` is its share of the endpoint's busy seconds, once it has landed.
    """

    __slots__ = ("_response", "clock", "departed_at", "gpu_seconds", "started", "station")

    def __init__(self, *, station: Station, clock: Clock, started: float) -> None:
        self.station = station
        self.clock = clock
        self.started = started
        self.departed_at = 0.0 if station.tally is None else clock.monotonic()
        self._response: UpstreamResponse | None = None
        self.gpu_seconds = 0.0

    @property
    def response(self) -> UpstreamResponse | None:
        """The answer, from its head on. Where the endpoint has siblings, setting it tells how long it took."""
        return self._response

    @response.setter
    def response(self, response: UpstreamResponse | None) -> None:
        self._response = response
        if self.station.tally is not None:
            self.station.tally.answered(self.clock.monotonic() - self.departed_at)

    def worked(self, seconds_max: float) -> None:
        """Its worker says that it worked for so long: after landing, the flight owes no more than that."""
        too_much = self.gpu_seconds - seconds_max
        if too_much > 0:
            self.station.meter.give_back(too_much)
            self.gpu_seconds = seconds_max

    async def land(self) -> None:
        """Give the connection back or close it; called once. Even an interrupted landing has stopped the meter."""
        self.gpu_seconds = self.station.meter.finish(self.started, self.clock.monotonic())
        if self._response is not None:
            await self._response.aclose()
