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
        name: The endpoint's.
        model: The name under which it serves its model.
        first_token_limit: In how many seconds an attempt must bring its first token; ``None`` where that is not asked.
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
        "_reason", "_served", "_served_for", "endpoint", "first_token_limit", "headers", "health", "look", "meter",
        "model", "name", "place", "probe", "tally", "transport", "warmth",
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
        self.name = endpoint.name
        self.first_token_limit = endpoint.timeouts.first_token
        self._reason = ""
        self._served = NO_LINES
        self._served_for: dict[str, HeaderLines] = {}
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

    def served(self, reason: str) -> HeaderLines:
        """Headers that say that it served, and for what ``reason``; kept, since there are few reasons."""
        if reason != self._reason:
            found = self._served_for.get(reason)
            if found is None:
                found = self._served_for[reason] = _served(self.health.tier, self.name, reason)
            self._served, self._reason = found, reason
        return self._served

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


def _served(tier: str, endpoint: str, reason: str) -> HeaderLines:
    """A name that no header can hold is left out."""
    names = (b"x-tiergate-tier", b"x-tiergate-endpoint", b"x-tiergate-reason")
    words = zip(names, (tier, endpoint, reason), strict=True)
    return HeaderLines([(name, word.encode()) for name, word in words if not any(mark in word for mark in "\r\n\0")])
