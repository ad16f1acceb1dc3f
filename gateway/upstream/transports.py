"""Which transport an endpoint is called by; the tier map names it.

openai                 any OpenAI-compatible server, as it is            gateway.upstream.pool
"""

from collections.abc import Callable
from typing import Protocol

from gateway.exchange import Clock
from gateway.upstream.runpod_times import RunpodTimes
from gateway.upstream.transport import Transport
from gateway.upstream.warmth import Warmth
from tiers.tiermap import Endpoint, Tier

Connect = Callable[[Endpoint, Tier], Transport]
"""The way to an endpoint's URL over HTTP, made once for each URL."""


class MakeTransport(Protocol):
    """Makes an endpoint's transport."""

    def __call__(
        self, endpoint: Endpoint, tier: Tier, connect: Connect, *, warmth: Warmth | None, api_key: str | None
    ) -> Transport:
        """``warmth`` is the Runpod endpoint's, where it is one. Raises ``ValueError`` where it cannot be called."""


def directly(
    endpoint: Endpoint, tier: Tier, connect: Connect, *, warmth: Warmth | None = None, api_key: str | None = None
) -> Transport:
    """HTTP to the endpoint's URL and nothing else."""
    del warmth, api_key
    return connect(endpoint, tier)


class Transports:
    """Makes each endpoint's transport."""

    def __init__(self, *, clock: Clock, times: RunpodTimes) -> None:
        self._clock = clock
        self._times = times

    def __call__(
        self, endpoint: Endpoint, tier: Tier, connect: Connect, *, warmth: Warmth | None, api_key: str | None
    ) -> Transport:
        """See ``MakeTransport``."""
        return directly(endpoint, tier, connect, warmth=warmth, api_key=api_key)
