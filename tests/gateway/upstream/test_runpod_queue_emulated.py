"""A queue endpoint of the emulated Runpod, over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from deploy.emulator.model.endpoint import Endpoint as Emulated
from deploy.emulator.model.faults import Faults
from deploy.emulator.model.job import JobStatus
from gateway.clock import SystemClock
from gateway.errors import UpstreamAnswered, UpstreamFailed, UpstreamTimeout
from gateway.journey import Journey
from gateway.upstream.errands import Errands
from gateway.upstream.pool import HttpTransport
from gateway.upstream.runpod_queue import RunpodQueue
from gateway.upstream.runpod_times import RunpodTimes
from gateway.upstream.transport import UpstreamRequest, UpstreamResponse
from gateway.upstream.warmth import Warmth
from gateway.wire.header_lines import HeaderLines
from tests.deploy.emulator.running import CHAT, INSTANT, Running, running, until
from tests.deploy.emulator.worlds import KEY
from tests.gateway.upstream.queue_tier import TIER
from tiers.tiermap import Endpoint, Timeouts, Workers
from tiers.warmth import Sample

pytestmark = pytest.mark.integration

SPEED = 200.0
HEADERS = [
    HeaderLines([(b"x-callers", b"own")]),
    HeaderLines([(b"authorization", b"Bearer " + KEY.encode())]),
]
JSON_HEADERS = [HeaderLines([(b"content-type", b"application/json")]), HEADERS[1]]
COLD = Faults(pull_seconds=0.0, load_seconds=120.0)
"""A cold start that the edge would not have waited for."""


class Called:
    """One emulated endpoint and the transport that calls it."""

    def __init__(self, here: Running, endpoint: Emulated) -> None:
        self.endpoint = endpoint
        self.clock = SystemClock()
        times = RunpodTimes().faster(SPEED)
        url = here.url(endpoint, "")[:-1]
        self.warmth = Warmth(base=url, workers=Workers(), clock=self.clock, times=times)
        self.journey = Journey()
        self.warmth.heard(Sample())
        self.errands = Errands()
        self.queue = RunpodQueue(
            HttpTransport(url, Timeouts(headers=20.0)),
            endpoint=Endpoint(name="routing/0", url=url, transport="runpod-queue"),
            tier=TIER,
            warmth=self.warmth,
            times=times,
            clock=self.clock,
            errands=self.errands,
        )

    @property
    def job(self) -> Any:  # noqa: ANN401 - the emulator's job, which time changes
        """The job of the last request."""
        return self.endpoint.jobs[self.journey.job]

    async def send(
        self, path: str = "/v1/chat/completions", *, seconds: float = 20.0, **body: object
    ) -> UpstreamResponse:
        """A request whose answer is wanted in so many real seconds."""
        self.journey = Journey()
        return await self.queue.send(
            UpstreamRequest(
                method=b"POST",
                path=path.encode(),
                headers=JSON_HEADERS,
                body=json.dumps((CHAT if "chat" in path else {"model": "router"}) | body).encode(),
                due=self.clock.monotonic() + seconds,
                journey=self.journey,
            )
        )

    async def answer(self, path: str = "/v1/chat/completions", **more: Any) -> tuple[int, bytes]:  # noqa: ANN401 - any JSON
        """The same, read to its end: status and body."""
        response = await self.send(path, **more)
        body = await response.read(10_000_000)
        await response.aclose()
        return response.status, body

    def way(self) -> str:
        """That of the last request."""
        return self.journey.way

    async def both(self, path: str = "/v1/chat/completions", **more: Any) -> list[tuple[int, bytes]]:  # noqa: ANN401 - any JSON
        """The answer as a job, then the same over the route."""
        self.warmth.asleep()
        by_job = await self.answer(path, **more)
        assert self.way() == "job"
        self.warmth.answered()
        by_route = await self.answer(path, **more)
        assert self.way() == "route"
        return [by_job, by_route]


@asynccontextmanager
async def called(faults: Faults = INSTANT, **config: object) -> AsyncIterator[Called]:
    """An emulated endpoint with those faults, and its transport."""
    async with running(speed=SPEED) as here:
        calling = Called(here, here.queue(faults, **config))
        try:
            yield calling
        finally:
            await calling.errands.finish(5.0)
            await calling.queue.aclose()


def content(events: bytes) -> str:
    """What a stream says in all."""
    told = [json.loads(line[6:]) for line in events.decode().split("\n") if line.startswith("data: {")]
    return "".join(each["choices"][0]["delta"].get("content") or "" for each in told if each["choices"])


async def test_a_cold_call_that_the_edge_would_have_cut_is_answered() -> None:
    async with called(COLD) as calling:
        status, body = await calling.answer()
        assert (status, json.loads(body)["object"]) == (200, "chat.completion")
        journey = calling.journey
        assert (journey.way, journey.cold, journey.tries) == ("job", True, 1)
        assert journey.worker in calling.endpoint.workers
        assert journey.delay_seconds is not None
        assert journey.delay_seconds >= 120
        assert journey.execution_seconds is not None
        assert calling.warmth.ready


async def test_a_cold_stream_is_the_engines_own() -> None:
    async with called(COLD) as calling:
        status, body = await calling.answer(stream=True)
        assert (status, calling.journey.way) == (200, "job")
        assert body.endswith(b"data: [DONE]\n\n")
        assert content(body)
        assert calling.journey.execution_seconds is not None


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/v1/chat/completions", {"seed": 1, "max_tokens": 20}),
        ("/v1/completions", {"prompt": "once", "seed": 1}),
        (
            "/v1/chat/completions",
            {
                "seed": 1,
                "max_tokens": 50,
                "tools": [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}],
                "tool_choice": {"type": "function", "function": {"name": "add"}},
            },
        ),
    ],
)
async def test_the_way_does_not_show_in_the_answer(path: str, more: dict[str, Any]) -> None:
    async with called() as calling:
        (status, by_job), (_, by_route) = await calling.both(path, **more)
        first, second = json.loads(by_job), json.loads(by_route)
        assert status == 200
        assert (first["choices"], first["usage"]) == (second["choices"], second["usage"])


async def test_the_way_does_not_show_in_a_stream() -> None:
    async with called() as calling:
        (status, by_job), (_, by_route) = await calling.both(stream=True, seed=1)
        assert status == 200
        assert content(by_job) == content(by_route) != ""


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("shape", ["status_500", "status_200"])
async def test_vllms_refusal_has_its_own_status_whichever_way_it_came(shape: str, *, stream: bool) -> None:
    """And its own body."""
    async with called(replace(INSTANT, failed_openai=shape)) as calling:  # type: ignore[arg-type]
        by_job, by_route = await calling.both(model='nobody\'s "model"', stream=stream)
        assert by_job == by_route
        assert by_job[0] == 404
        assert json.loads(by_job[1])["error"]["type"] == "NotFoundError"


async def test_who_leaves_a_queued_job_cancels_it() -> None:
    async with called(replace(INSTANT, no_capacity=True)) as calling:
        sending = asyncio.ensure_future(calling.send())
        await until(lambda: bool(calling.journey.job))
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await until(lambda: calling.job.status is JobStatus.CANCELLED)


async def test_who_leaves_a_stream_frees_its_worker() -> None:
    async with called() as calling:
        response = await calling.send(stream=True, max_tokens=3000, ignore_eos=True, min_tokens=3000)
        assert await response.chunk()
        assert not response.complete
        await response.aclose()
        await until(lambda: not calling.job.open)
        assert not any(worker.jobs for worker in calling.endpoint.workers.values())


async def test_a_job_has_the_times_of_its_request() -> None:
    async with called() as calling:
        await calling.answer(seconds=1.0)
        policy = calling.job.policy
        assert 190_000 < policy.execution_timeout_ms <= 200_000
        assert policy.ttl_ms == pytest.approx(policy.execution_timeout_ms + 10_000, abs=2)


async def test_a_job_that_never_ends_is_cancelled_at_the_deadline() -> None:
    async with called(replace(INSTANT, stuck_jobs=True)) as calling:
        with pytest.raises(UpstreamTimeout):
            await calling.send(seconds=0.3)
        await until(lambda: calling.journey.job not in calling.endpoint.jobs or not calling.job.open)


async def test_a_worker_that_dies_of_a_job_is_an_error_of_the_endpoint() -> None:
    async with called(replace(INSTANT, crash_in_job=True)) as calling:
        with pytest.raises(UpstreamAnswered, match="its worker ended or lost touch"):
            await calling.send()


@pytest.mark.parametrize("fault", [{"status": 429}, {"status": 500}, {"reset": True}])
async def test_looks_that_fail_are_repeated(fault: dict[str, Any]) -> None:
    async with called(replace(INSTANT, operation="status", remaining=3, **fault)) as calling:
        assert (await calling.answer())[0] == 200


@pytest.mark.parametrize("fault", [{"status": 429}, {"status": 502}, {"reset": True}])
async def test_a_stream_outlives_looks_that_fail(fault: dict[str, Any]) -> None:
    async with called(replace(INSTANT, operation="stream", remaining=2, **fault)) as calling:
        status, body = await calling.answer(stream=True)
        assert (status, body[-14:]) == (200, b"data: [DONE]\n\n")


async def test_characters_that_were_split_leave_the_events_whole() -> None:
    async with called(replace(INSTANT, split_characters=True, piece_bytes=7)) as calling:
        status, body = await calling.answer(stream=True)
        assert status == 200
        assert content(body)


async def test_a_stream_that_was_cut_has_no_end() -> None:
    async with called(replace(INSTANT, cut_after=3)) as calling:
        _, body = await calling.answer(stream=True)
        assert b"[DONE]" not in body


async def test_a_refused_run_is_the_endpoints_answer() -> None:
    async with called(replace(INSTANT, status=503, operation="run")) as calling:
        assert (await calling.answer())[0] == 503


async def test_the_edges_cut_is_told_and_not_repeated() -> None:
    async with called(replace(INSTANT, stuck_jobs=True)) as calling:
        calling.warmth.answered()
        with pytest.raises(UpstreamTimeout, match="edge cut"):
            await calling.send(max_tokens=10)
        assert len(calling.endpoint.jobs) == 1


async def test_a_wake_wakes_one_worker_and_says_so() -> None:
    async with called() as calling:
        await asyncio.gather(calling.queue.wake(HEADERS))
        await calling.queue.wake(HEADERS)
        await until(lambda: calling.warmth.ready)
        assert (len(calling.endpoint.workers), len(calling.endpoint.jobs)) == (1, 1)


async def test_a_wake_that_is_refused_says_so() -> None:
    async with called() as calling:
        with pytest.raises(UpstreamFailed):
            await calling.queue.wake([HeaderLines([(b"authorization", b"Bearer wrong")])])
