"""A queue endpoint's operations."""

import pytest

from deploy.emulator.model.endpoint import Endpoint
from deploy.emulator.model.faults import Faults
from tests.deploy.emulator.running import CHAT, INSTANT, Running, running

pytestmark = pytest.mark.integration

JOB = {"openai_route": "/v1/chat/completions", "openai_input": CHAT}
STREAM = JOB | {"openai_input": CHAT | {"stream": True}}


async def test_a_job_is_run_and_polled() -> None:
    async with running() as here:
        endpoint = here.queue()
        begun = (await here.post(endpoint, "run", {"input": JOB})).json()
        assert begun["status"] == "IN_QUEUE"
        assert begun["id"].endswith("-u1")
        told = await here.ended(endpoint, begun["id"])
        assert told["status"] == "COMPLETED"
        assert told["output"][0]["object"] == "chat.completion", "the output is a list"
        assert {"delayTime", "executionTime", "workerId"} <= told.keys()
        listed = (await here.get(endpoint, "requests")).json()["requests"]
        assert [job["id"] for job in listed] == [begun["id"]]


async def test_a_stream_is_drained_poll_by_poll() -> None:
    async with running() as here:
        endpoint = here.queue()
        job_id = (await here.post(endpoint, "run", {"input": STREAM})).json()["id"]
        texts: list[str] = []
        while True:
            told = (await here.get(endpoint, f"stream/{job_id}")).json()
            texts += [piece["output"] for piece in told["stream"]]
            if told["status"] == "COMPLETED" and not told["stream"]:
                break
        assert "".join(texts).endswith("data: [DONE]\n\n")
        assert (await here.ended(endpoint, job_id))["output"] == texts


async def test_runsync_waits_for_the_end() -> None:
    async with running() as here:
        endpoint = here.queue()
        told = (await here.post(endpoint, "runsync", {"input": JOB})).json()
        assert (told["status"], told["id"].startswith("sync-")) == ("COMPLETED", True)


async def test_runsync_falls_back_to_polling() -> None:
    async with running(speed=200) as here:
        endpoint = here.queue(Faults(no_capacity=True))
        told = (await here.post(endpoint, "runsync?wait=1000", {"input": JOB})).json()
        assert told["status"] == "IN_QUEUE"
        edge = await here.post(endpoint, "runsync?wait=300000", {"input": JOB})
        assert edge.status_code == 524
        assert len(endpoint.queue) == 2, "the edge gives up, the job does not"


async def refusal(here: Running, path: str, body: object) -> str:
    answer = await here.client.post(path, json=body)
    assert answer.status_code == 400
    error: str = answer.json()["error"]
    return error


async def test_what_is_no_job_is_refused() -> None:
    async with running() as here:
        endpoint = here.queue()
        run, runsync = here.url(endpoint, "run"), here.url(endpoint, "runsync")
        assert "input" in await refusal(here, run, {"prompt": "hi"})
        for policy in ({"executionTimeout": 4999}, {"ttl": 9999}, {"ttl": "1h"}):
            assert "policy" in await refusal(here, run, {"input": JOB, "policy": policy})
        assert "wait" in await refusal(here, f"{runsync}?wait=999", {"input": JOB})
        large = await here.client.post(run, content=b'"' + b"x" * 10_000_001)
        assert large.status_code == 400


async def test_the_policy_is_the_jobs_own() -> None:
    async with running() as here:
        endpoint = here.queue()
        policy = {"executionTimeout": 6000, "ttl": 20_000, "lowPriority": True}
        job_id = (await here.post(endpoint, "run", {"input": JOB, "policy": policy, "webhook": "http://x"})).json()[
            "id"
        ]
        job = endpoint.jobs[job_id]
        assert (job.policy.execution_timeout_ms, job.policy.ttl_ms, job.policy.low_priority) == (6000, 20_000, True)
        assert job.webhook == "http://x"


async def test_a_job_can_be_cancelled_and_a_failed_one_retried() -> None:
    async with running() as here:
        endpoint = here.queue(Faults(no_capacity=True))
        job_id = (await here.post(endpoint, "run", {"input": JOB})).json()["id"]
        assert (await here.post(endpoint, f"retry/{job_id}")).status_code == 400
        cancelled = (await here.post(endpoint, f"cancel/{job_id}")).json()
        assert cancelled == {"id": job_id, "status": "CANCELLED"}
        here.world.set_faults(
            endpoint.id, Faults(pull_seconds=0, load_seconds=0, engine_status=500), here.emulator.clock.now()
        )
        failed = await _failed(here, endpoint)
        here.world.set_faults(endpoint.id, INSTANT, here.emulator.clock.now())
        assert (await here.post(endpoint, f"retry/{failed}")).json() == {"id": failed, "status": "IN_QUEUE"}
        assert (await here.ended(endpoint, failed))["status"] == "COMPLETED"


async def _failed(here: Running, endpoint: Endpoint) -> str:
    job_id: str = (await here.post(endpoint, "run", {"input": JOB})).json()["id"]
    told = await here.ended(endpoint, job_id)
    assert told["status"] == "FAILED"
    assert told["error"].startswith("{'error': {'message': 'vLLM returned HTTP 500: ")
    return job_id


async def test_the_queue_can_be_purged_and_unknown_jobs_are_not_found() -> None:
    async with running() as here:
        endpoint = here.queue(Faults(no_capacity=True))
        for _ in range(2):
            await here.post(endpoint, "run", {"input": JOB})
        assert (await here.post(endpoint, "purge-queue")).json() == {"removed": 2, "status": "completed"}
        for path in ("status/x", "stream/x"):
            assert (await here.get(endpoint, path)).status_code == 404


async def test_health_wakes_nobody() -> None:
    async with running() as here:
        endpoint = here.queue()
        health = (await here.get(endpoint, "health")).json()
        assert set(health) == {"jobs", "workers"}
        assert endpoint.workers == {}
