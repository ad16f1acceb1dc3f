"""The platform's OpenAI route."""

import asyncio
import json

import httpx
import pytest

from deploy.emulator.model.faults import Faults
from deploy.emulator.model.job import JobStatus
from tests.deploy.emulator.running import CHAT, running, until
from tests.deploy.emulator.worlds import status_of

pytestmark = pytest.mark.integration

PATH = "openai/v1/chat/completions"
STREAM = CHAT | {"stream": True, "stream_options": {"include_usage": True}}


def content(stream: str) -> str:
    """The text that a stream of events says."""
    events = [event.removeprefix("data: ") for event in stream.split("\n\n") if event]
    told = [json.loads(event) for event in events if event != "[DONE]"]
    return "".join(choice["delta"].get("content", "") for event in told for choice in event["choices"])


async def test_a_warm_endpoint_answers_and_streams_the_same() -> None:
    """Wherever its worker's pieces were cut."""
    async with running() as here:
        endpoint = here.queue()
        whole = (await here.post(endpoint, PATH, CHAT)).json()
        stream = await here.post(endpoint, PATH, STREAM)
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert content(stream.text) == whole["choices"][0]["message"]["content"]
        assert stream.text.endswith("data: [DONE]\n\n")
        assert endpoint.counts.completed == 2


async def test_asking_for_models_is_a_job_and_wakes_a_worker() -> None:
    async with running() as here:
        endpoint = here.queue()
        models = (await here.get(endpoint, "openai/v1/models")).json()
        assert models["data"][0]["id"] == "router"
        assert len(endpoint.workers) == 1
        assert here.world.ledger.bill(here.emulator.clock.now() + 1).seconds > 0


@pytest.mark.parametrize("body", [CHAT, STREAM])
async def test_the_edge_cuts_a_cold_call_and_the_job_goes_on(body: dict[str, object]) -> None:
    """Its answer is lost, its bill is not, and nobody knows its id."""
    async with running(speed=1000) as here:
        endpoint = here.queue(Faults(pull_seconds=0.0, load_seconds=105.0))
        answer = await here.post(endpoint, PATH, body)
        assert answer.status_code == 524
        assert answer.headers["content-type"].startswith("text/html")
        [job] = endpoint.jobs.values()
        await until(lambda: not job.open)
        assert status_of(job) is JobStatus.COMPLETED


async def test_a_client_that_leaves_cancels_nothing() -> None:
    async with running(speed=100) as here:
        endpoint = here.queue(Faults(pull_seconds=0.0, load_seconds=20.0))
        with pytest.raises(httpx.ReadTimeout):
            await here.post(endpoint, PATH, CHAT, timeout=0.05)
        [job] = endpoint.jobs.values()
        await until(lambda: not job.open)
        assert status_of(job) is JobStatus.COMPLETED


@pytest.mark.parametrize(("shape", "status"), [("status_500", 500), ("status_200", 200)])
async def test_a_failed_job_shows_in_either_reported_way(shape: str, status: int) -> None:
    """Never as an OpenAI answer."""
    async with running() as here:
        endpoint = here.queue(Faults(pull_seconds=0.0, load_seconds=0.0, engine_status=400, failed_openai=shape))  # type: ignore[arg-type]
        for body in (CHAT, STREAM):
            answer = await here.post(endpoint, PATH, body)
            assert answer.status_code == status
            assert "choices" not in answer.json()
            assert "vLLM returned HTTP 400" in answer.json()["error"]


async def test_a_cut_stream_has_no_end() -> None:
    async with running() as here:
        endpoint = here.queue(Faults(pull_seconds=0.0, load_seconds=0.0, cut_after=4))
        stream = await here.post(endpoint, PATH, STREAM)
        assert "data:" in stream.text
        assert "[DONE]" not in stream.text


async def test_a_worker_that_dies_in_a_stream_breaks_the_connection() -> None:
    """The job is tried again; what its caller has had cannot be taken back."""
    async with running(speed=20) as here:
        endpoint = here.queue()
        async with here.client.stream("POST", here.url(endpoint, PATH), json=STREAM) as stream:
            pieces = stream.aiter_bytes()
            await anext(pieces)
            [worker] = endpoint.workers.values()
            here.world.engine_died(worker, here.emulator.clock.now(), "killed")
            with pytest.raises(httpx.RemoteProtocolError):
                [piece async for piece in pieces]
        [job] = endpoint.jobs.values()
        assert (job.retries, job.open) == (1, True)


async def test_a_stream_that_falls_silent_is_cut() -> None:
    async with running(speed=1000) as here:
        endpoint = here.queue(Faults(pull_seconds=0.0, load_seconds=0.0, stuck_jobs=True))

        async def read() -> None:
            async with here.client.stream("POST", here.url(endpoint, PATH), json=STREAM) as stream:
                assert [piece async for piece in stream.aiter_text()]

        reader = asyncio.get_running_loop().create_task(read())
        await until(lambda: bool(endpoint.jobs))
        [job] = endpoint.jobs.values()
        here.world.yielded(job, ["data: {}\n\n"])
        here.world.refresh(here.emulator.clock.now())
        with pytest.raises(httpx.RemoteProtocolError):
            await reader
        assert status_of(job) is JobStatus.IN_PROGRESS


async def test_what_is_no_json_is_refused() -> None:
    async with running() as here:
        answer = await here.client.post(here.url(here.queue(), PATH), content=b"{")
        assert answer.status_code == 400
