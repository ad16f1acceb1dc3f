"""Which transport an endpoint is called by; the tier map names it.

openai                 any OpenAI-compatible server, as it is            gateway.upstream.pool
runpod-queue           Runpod's queues: their OpenAI route, or jobs      gateway.upstream.runpod_queue
runpod-load-balancer   Runpod's load balancers: patient HTTP             gateway.upstream.runpod_load_balancer
litellm                any provider that LiteLLM's SDK speaks to         gateway.upstream.litellm_sdk
"""

from collections.abc import Callable
from typing import Protocol

from gateway.exchange import Clock
from gateway.upstream.errands import Errands
from gateway.upstream.litellm_sdk import LiteLlm
from gateway.upstream.runpod_load_balancer import RunpodLoadBalancer
from gateway.upstream.runpod_queue import RunpodQueue
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

    def __init__(self, *, clock: Clock, times: RunpodTimes, errands: Errands) -> None:
        self._clock = clock
        self._errands = errands
        self._times = times

    def __call__(
        self, endpoint: Endpoint, tier: Tier, connect: Connect, *, warmth: Warmth | None, api_key: str | None
    ) -> Transport:
        """See ``MakeTransport``."""
        if endpoint.transport == "runpod-queue" and warmth is not None:
            return RunpodQueue(
                connect(endpoint, tier),
                endpoint=endpoint,
                tier=tier,
                warmth=warmth,
                times=self._times,
                clock=self._clock,
                errands=self._errands,
            )
        if endpoint.transport == "runpod-load-balancer" and warmth is not None:
            return RunpodLoadBalancer(
                connect(endpoint, tier),
                endpoint=endpoint,
                warmth=warmth,
                times=self._times,
                clock=self._clock,
            )
        if endpoint.transport == "litellm":
            return LiteLlm(endpoint=endpoint, tier=tier, api_key=api_key, clock=self._clock)
        return directly(endpoint, tier, connect, warmth=warmth, api_key=api_key)
