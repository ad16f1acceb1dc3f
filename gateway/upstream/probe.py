"""How the gateway itself asks whether an endpoint that was left alone is well again.

With ``GET /models`` under its base URL in general. Runpod's serverless endpoints are asked at Runpod's own health
address instead, since any request to their own wakes a worker that is paid for; the answer says how many workers there
are in which condition, and none is woken.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Literal

from gateway.errors import UpstreamFailed
from gateway.upstream.look import Look
from gateway.upstream.transport import Transport, UpstreamRequest
from gateway.wire.header_lines import HeaderLines
from tiers.runpod_urls import health_base
from tiers.tiermap import Endpoint, Tier
from tiers.warmth import Sample

PROBE_SECONDS: Final = 5.0
"""How long an endpoint may take to answer a probe, its connection included."""
ANSWER_BYTES_MAX: Final = 1024 * 1024
_FAILURES: Final = 500
"""From this status on the endpoint says that it is not well. Below, it may refuse the probe, but it is there."""

_MODELS: Final = b"/v1/models"
_MODELS_BELOW_BASE: Final = b"/openai/v1/models"


class Probe:
    """Asks one endpoint."""

    def __init__(
        self,
        kind: Literal["models", "health", "runpod"],
        transport: Transport,
        headers: Sequence[HeaderLines],
        *,
        seconds: float = PROBE_SECONDS,
        path: bytes = b"",
        heard: Callable[[Sample], None] | None = None,
    ) -> None:
        """``transport`` leads to the address that is asked, which has to be ``health_base``'s for ``runpod``.

        ``path`` is where the models are, if they are not where OpenAI has them. ``heard`` is told what Runpod says.
        """
        self._look = Look(transport, headers, seconds=seconds) if kind == "runpod" else None
        self._heard = heard
        self._seconds = seconds
        self.transport = transport
        path = path or (_MODELS if kind == "models" else b"/health")
        self._request = UpstreamRequest(method=b"GET", path=path, headers=headers, body=b"")

    async def ask(self) -> bool:
        """Whether it answered in time, and not that it is not well. Never raises but where it is cancelled."""
        if self._look is not None:
            return await self._looked(self._look)
        try:
            async with asyncio.timeout(self._seconds):
                response = await self.transport.send(self._request)
                try:
                    await response.read(ANSWER_BYTES_MAX)
                finally:
                    await response.aclose()
        except (UpstreamFailed, TimeoutError):
            return False
        return response.status < _FAILURES

    async def _looked(self, look: Look) -> bool:
        seen = await look()
        if seen.sample is None:  # what answers is there; the next requests tell more
            return 0 < seen.status < _FAILURES
        if self._heard is not None:
            self._heard(seen.sample)
        return _well(seen.sample)


def _well(sample: Sample) -> bool:
    """Some worker can take a request, or there are none because none was needed.

    A worker that is still starting says nothing yet: it may be one of many that never come up. Jobs that wait while
    there is no worker at all mean that none may be started.
    """
    return (
        sample.up
        or sample.idle > 0
        or not (sample.initializing or sample.throttled or sample.unhealthy or sample.in_queue)
    )


def probe_of(
    endpoint: Endpoint,
    tier: Tier,
    transport: Transport,
    headers: HeaderLines,
    connect: Callable[[Endpoint, Tier], Transport],
    *,
    heard: Callable[[Sample], None] | None = None,
) -> Probe | None:
    """How to ask an endpoint as its tier wants it; ``None`` is not at all.

    Where Runpod is asked, ``connect`` makes the way there; else ``transport``, which leads to the endpoint, is used.
    """
    wanted = tier.breaker.probe
    if wanted == "none" or endpoint.transport == "litellm":
        return None
    url = health_base(endpoint.url)
    if url is not None and wanted != "models":
        return Probe("runpod", connect(replace(endpoint, url=url), tier), [headers], heard=heard)
    if endpoint.transport == "runpod-queue":  # not by its transport, which would make a job of it
        return Probe("models", connect(endpoint, tier), [headers], path=_MODELS_BELOW_BASE)
    if endpoint.transport == "runpod-load-balancer":  # nor by its own, which waits for a worker
        return Probe("models", connect(endpoint, tier), [headers])
    return Probe("health" if wanted == "health" else "models", transport, [headers])
