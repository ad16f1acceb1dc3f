"""One endpoint as this process sees it."""

from gateway.errors import GatewayError, UpstreamTimeout, UpstreamUnreachable
from gateway.exchange import Clock
from gateway.upstream.health import Health, Report, is_failure, untold
from gateway.upstream.look import Look
from gateway.upstream.probe import Probe
from gateway.upstream.tally import Tally
from gateway.upstream.transport import Transport
from gateway.upstream.warmth import Warmth
from gateway.wire.header_lines import NO_LINES, HeaderLines
from tiers.meter import Meter
from tiers.tiermap import Endpoint, Tier


class Station:
    """An endpoint with its connections, its key, its condition, and what is in flight on it from this process.

    Attributes:
        model: The name under which it serves its model.
        headers: What every request to it carries: its own key, where it has one.
        meter: Splits its busy seconds among the requests in flight.
        health: Whether it may be asked.
        probe: How it is asked whether it is well again; ``None`` where a request finds that out.
        tally: How it did lately; ``None`` where its tier has no other to compare it with.
        place: What names it for good, as affinity needs it.
        warmth: Whether its workers are awake; ``None`` where nobody can know, or they always are.
        look: How its health is looked at, where it has ``warmth``.
    """

    __slots__ = (
        "endpoint", "headers", "health", "look", "meter", "model", "place", "probe", "tally", "transport", "warmth",
    )  # fmt: skip

    def __init__(
        self,
        *,
        tier: Tier,
        endpoint: Endpoint,
        transport: Transport,
        api_key: str | None,
        clock: Clock,
        report: Report = untold,
        warmth: Warmth | None = None,
    ) -> None:
        """``tier`` is the endpoint's; ``report`` is told when the endpoint is left alone and when it is asked again."""
        self.endpoint = endpoint
        self.model = endpoint.model or tier.model
        self.transport = transport
        self.headers = HeaderLines([(b"authorization", b"Bearer " + api_key.encode())]) if api_key else NO_LINES
        self.meter = Meter()
        self.health = Health(tier=tier.name, endpoint=endpoint.name, settings=tier.breaker, clock=clock, report=report)
        self.probe: Probe | None = None
        self.tally = Tally() if len(tier.endpoints) > 1 else None
        self.place = (endpoint.url or endpoint.name).encode()
        self.warmth = warmth
        self.look: Look | None = None

    def report(self, error: GatewayError | None) -> None:
        """How a try there ended, once per try: ``None`` where a good answer began and did not break.

        An endpoint that sleeps is not broken: that no worker came in time is no failure of it.
        """
        if error is not None and self._asleep(error):
            return
        if error is not None or self.health.marked:
            self.health.hear(error)
        if self.tally is not None:
            self.tally.count(failed=error is not None and is_failure(error))

    def _asleep(self, error: GatewayError) -> bool:
        """Whether the error says no more than what Runpod says of its workers, too: none could have answered."""
        if self.warmth is None or not isinstance(error, (UpstreamUnreachable, UpstreamTimeout)):
            return False
        return self.warmth.coming
