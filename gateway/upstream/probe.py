"""How the gateway itself asks whether an endpoint that was left alone is well again.

With ``GET /models`` under its base URL in general. Runpod's serverless endpoints are asked at Runpod's own health
address instead, since any request to their own wakes a worker that is paid for; the answer says how many workers there
are in which condition, and none is woken.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Literal

import msgspec

from gateway.errors import UpstreamFailed
from gateway.upstream.transport import Transport, UpstreamRequest
from gateway.wire.header_lines import HeaderLines
from tiers.runpod_urls import health_base
from tiers.tiermap import Endpoint, Tier

PROBE_SECONDS: Final = 5.0
"""How long an endpoint may take to answer a probe, its connection included."""
ANSWER_BYTES_MAX: Final = 1024 * 1024
_OK: Final = 200
_FAILURES: Final = 500
"""From this status on the endpoint says that it is not well. Below, it may refuse the probe, but it is there."""

Kind = Literal["models", "health", "runpod"]


class Workers(msgspec.Struct, frozen=True, kw_only=True):
    """A Runpod endpoint's workers by their condition; which of them an answer names differs."""

    idle: int = 0
    initializing: int = 0
    ready: int = 0
    running: int = 0
    throttled: int = 0
    unhealthy: int = 0


class Jobs(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Its jobs."""

    in_queue: int = 0


class RunpodHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What Runpod's health address answers."""

    workers: Workers = Workers()
    jobs: Jobs = Jobs()

    @property
    def well(self) -> bool:
        """Some worker can take a request, or there are none because none was needed.

        A worker that is still starting says nothing yet: it may be one of many that never come up. Jobs that wait while
        there is no worker at all mean that none may be started.
        """
        of = self.workers
        if of.ready or of.running or of.idle:
            return True
        return not (of.initializing or of.throttled or of.unhealthy or self.jobs.in_queue)


class Probe:
    """Asks one endpoint."""

    def __init__(
        self, kind: Kind, transport: Transport, headers: Sequence[HeaderLines], *, seconds: float = PROBE_SECONDS
    ) -> None:
        """``transport`` leads to the address that is asked, which has to be ``health_base``'s for ``runpod``."""
        self._kind = kind
        self._seconds = seconds
        self.transport = transport
        path = b"/v1/models" if kind == "models" else b"/health"
        self._request = UpstreamRequest(method=b"GET", path=path, headers=headers, body=b"")

    async def ask(self) -> bool:
        """Whether it answered in time, and not that it is not well. Never raises but where it is cancelled."""
        try:
            async with asyncio.timeout(self._seconds):
                response = await self.transport.send(self._request)
                try:
                    body = await response.read(ANSWER_BYTES_MAX)
                finally:
                    await response.aclose()
        except (UpstreamFailed, TimeoutError):
            return False
        if response.status == _OK and self._kind == "runpod":
            try:
                return msgspec.json.decode(body, type=RunpodHealth).well
            except msgspec.DecodeError:
                return True  # it is there; the next requests tell more
        return response.status < _FAILURES


def probe_of(
    endpoint: Endpoint,
    tier: Tier,
    transport: Transport,
    headers: HeaderLines,
    connect: Callable[[Endpoint, Tier], Transport],
) -> Probe | None:
    """How to ask an endpoint as its tier wants it; ``None`` is not at all.

    Where Runpod is asked, ``connect`` makes the way there; else ``transport``, which leads to the endpoint, is used.
    """
    wanted = tier.breaker.probe
    if wanted == "none" or endpoint.transport == "litellm":
        return None
    url = health_base(endpoint.url)
    if url is not None and wanted != "models":
        return Probe("runpod", connect(replace(endpoint, url=url), tier), [headers])
    return Probe("health" if wanted == "health" else "models", transport, [headers])
