"""One look at a Runpod endpoint's health, which wakes no worker."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.errors import UpstreamFailed
from gateway.upstream.transport import Transport, UpstreamRequest
from gateway.wire.header_lines import HeaderLines
from gateway.wire.retry_after import retry_after
from tiers.warmth import Sample

LOOK_SECONDS: Final = 5.0
"""How long the answer may take, its connection included."""
ANSWER_BYTES_MAX: Final = 1024 * 1024
_OK: Final = 200


class _Workers(msgspec.Struct, frozen=True, kw_only=True):
    """A Runpod endpoint's workers by their condition; which of them an answer names differs."""

    idle: int = 0
    initializing: int = 0
    ready: int = 0
    running: int = 0
    throttled: int = 0
    unhealthy: int = 0


class _Jobs(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Its jobs."""

    in_queue: int = 0
    in_progress: int = 0


class _Health(msgspec.Struct, frozen=True, kw_only=True):
    """What Runpod's health address answers."""

    workers: _Workers = _Workers()
    jobs: _Jobs = _Jobs()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a look came to.

    Attributes:
        status: The answer's; 0 without one.
        sample: What it said; ``None`` where it cannot be read.
        retry_after_seconds: How long it asked to be left alone.
        problem: Why there is no sample, for people.
    """

    status: int
    sample: Sample | None = None
    retry_after_seconds: float | None = None
    problem: str = ""


class Look:
    """Looks at one endpoint's health."""

    def __init__(self, transport: Transport, headers: Sequence[HeaderLines], *, seconds: float = LOOK_SECONDS) -> None:
        """``transport`` leads to the endpoint's base, which ``tiers.runpod_urls.health_base`` names."""
        self.transport = transport
        self._seconds = seconds
        self._request = UpstreamRequest(method=b"GET", path=b"/health", headers=headers, body=b"")

    async def __call__(self) -> Seen:
        """Ask once. Never raises but where it is cancelled."""
        try:
            async with asyncio.timeout(self._seconds):
                response = await self.transport.send(self._request)
                try:
                    body = await response.read(ANSWER_BYTES_MAX)
                finally:
                    await response.aclose()
        except UpstreamFailed as error:
            return Seen(status=0, problem=error.message)
        except TimeoutError:
            return Seen(status=0, problem=f"no answer within {self._seconds:g} s")
        if response.status != _OK:
            # A date in place of seconds would need a clock, and Runpod sends none.
            wait = retry_after(response.headers, 0.0)
            return Seen(status=response.status, retry_after_seconds=wait, problem=f"answered {response.status}")
        return _read(body)


def _read(body: bytes) -> Seen:
    try:
        told = msgspec.json.decode(body, type=_Health)
    except msgspec.DecodeError:
        return Seen(status=_OK, problem="answered with something that is not an endpoint's health")
    workers, jobs = told.workers, told.jobs
    sample = Sample(
        idle=workers.idle,
        initializing=workers.initializing,
        ready=workers.ready,
        running=workers.running,
        throttled=workers.throttled,
        unhealthy=workers.unhealthy,
        in_queue=jobs.in_queue,
        in_progress=jobs.in_progress,
    )
    return Seen(status=_OK, sample=sample)
