"""A load-balancing endpoint of the emulated Runpod, over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from deploy.emulator.model.endpoint import Endpoint as Emulated
from deploy.emulator.model.faults import ColdBody, Faults
from gateway.clock import SystemClock
from gateway.errors import UpstreamUnreachable
from gateway.journey import Journey
from gateway.upstream.pool import HttpTransport
from gateway.upstream.runpod_load_balancer import RunpodLoadBalancer
from gateway.upstream.runpod_times import RunpodTimes
from gateway.upstream.transport import UpstreamRequest, UpstreamResponse
from gateway.upstream.warmth import Warmth
from gateway.wire.header_lines import HeaderLines
from tests.deploy.emulator.running import CHAT, INSTANT, Running, running
from tests.deploy.emulator.worlds import KEY
from tiers.tiermap import Endpoint, Timeouts, Workers

pytestmark = pytest.mark.integration

SPEED = 1000.0
HEADERS = [HeaderLines([(b"authorization", b"Bearer " + KEY.encode()), (b"content-type", b"application/json")])]


class Called:
    """One emulated endpoint and the transport that calls it."""

    def __init__(self, here: Running, endpoint: Emulated) -> None:
        self.endpoint = endpoint
        self.clock = SystemClock()
        times = RunpodTimes().faster(SPEED)
        url = here.url(endpoint, "v1")
        self.warmth = Warmth(base=url, workers=Workers(), clock=self.clock, balanced=True, times=times)
        self.http = HttpTransport(url, Timeouts(headers=20.0))
        self.journey = Journey()
        self.balancer = RunpodLoadBalancer(
            self.http,
            endpoint=Endpoint(name="routing/0", url=url, transport="runpod-load-balancer"),
            warmth=self.warmth,
            times=times,
            clock=self.clock,
        )

    async def send(self, *, seconds: float = 20.0, affinity: bytes | None = None, **body: object) -> UpstreamResponse:
        """A chat request whose answer is wanted in so many real seconds."""
        self.journey = Journey()
        return await self.balancer.send(
            UpstreamRequest(
                method=b"POST",
                path=b"/v1/chat/completions",
                headers=HEADERS,
                body=json.dumps(CHAT | body).encode(),
                due=self.clock.monotonic() + seconds,
                journey=self.journey,
                affinity=affinity,
            )
        )

    async def answer(self, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
        """The same, read to its end."""
        response = await self.send(**more)
        assert response.status == 200
        told: dict[str, Any] = json.loads(await response.read(1_000_000))
        await response.aclose()
        return told


@asynccontextmanager
async def called(faults: Faults, **config: object) -> AsyncIterator[tuple[Running, Called]]:
    """An emulated endpoint with those faults, and its transport."""
    async with running(speed=SPEED) as here:
        calling = Called(here, here.balanced(faults, **config))
        try:
            yield here, calling
        finally:
            await calling.balancer.aclose()


@pytest.mark.parametrize("shape", ["timed_out", "no_workers"])
async def test_a_cold_start_over_the_balancers_patience_ends_in_an_answer(shape: ColdBody) -> None:
    """Five minutes: two HTTP 400 come first, whichever body they have."""
    async with called(Faults(pull_seconds=0.0, load_seconds=300.0, cold_body=shape)) as (_, calling):
        assert (await calling.answer())["object"] == "chat.completion"
        assert (calling.journey.cold, calling.journey.tries) == (True, 3)
        assert calling.journey.worker in calling.endpoint.workers
        assert (calling.warmth.ready, len(calling.endpoint.workers)) == (True, 1)


async def test_without_capacity_it_is_asked_until_the_deadline_and_then_said_so() -> None:
    async with called(replace(INSTANT, no_capacity=True)) as (_, calling):
        with pytest.raises(UpstreamUnreachable, match="No worker of the endpoint routing/0"):
            await calling.send(seconds=0.4)
        assert calling.journey.tries >= 2


async def test_resets_and_502s_before_the_first_worker_answers_are_survived() -> None:
    for fault in ({"reset": True, "remaining": 2}, {"status": 502, "remaining": 2}):
        async with called(replace(INSTANT, **fault)) as (_, calling):  # type: ignore[arg-type]
            assert (await calling.answer())["usage"]["completion_tokens"] > 0
            assert calling.journey.tries == 3


async def test_workers_on_wrong_ports_are_given_up_at_the_deadline() -> None:
    async with called(INSTANT, ports=()) as (_, calling):
        with pytest.raises(UpstreamUnreachable, match="502"):
            await calling.send(seconds=0.3)


async def test_what_vllm_refuses_passes_as_it_came() -> None:
    async with called(INSTANT) as (_, calling):
        await calling.answer()
        response = await calling.send(model="nobody")
        told = json.loads(await response.read(10_000))
        assert (response.status, told["error"]["type"], calling.journey.tries) == (404, "NotFoundError", 1)


async def test_a_stream_is_the_balancers_own() -> None:
    async with called(INSTANT) as (_, calling):
        response = await calling.send(stream=True)
        body = await response.read(1_000_000)
        await response.aclose()
        assert body.endswith(b"data: [DONE]\n\n")


async def test_a_session_stays_with_its_worker() -> None:
    async with called(INSTANT, workers_min=2, workers_max=2) as (_, calling):
        workers = set()
        for _ in range(6):
            await calling.answer(affinity=b"run")
            workers.add(calling.journey.worker)
        assert len(workers) == 1


async def test_a_ping_wakes_a_worker() -> None:
    async with called(INSTANT) as (_, calling):
        async with asyncio.timeout(10):
            while not calling.warmth.ready:
                await calling.balancer.wake(HEADERS)  # one may come while its worker is still loading
                await asyncio.sleep(0.01)
        assert len(calling.endpoint.workers) == 1
