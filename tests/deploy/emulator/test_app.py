"""The whole emulator, over HTTP."""

import asyncio
import sys
from pathlib import Path

import httpx
import pytest
from openai import APIStatusError, AsyncOpenAI

from deploy.emulator.engines.kinds import LLAMA, ImageCommand
from deploy.emulator.model.faults import Faults
from tests.deploy.emulator.engines.test_child import SERVER
from tests.deploy.emulator.running import CHAT, running, until
from tests.deploy.emulator.worlds import KEY

pytestmark = pytest.mark.integration

CREATE = {
    "name": "routing",
    "type": "QUEUE",
    "image": "runpod/worker-v1-vllm:v2.25.2",
    "gpu": {"pools": ["ADA_24"], "minCudaVersion": "13.0"},
    "workers": {"min": 0, "max": 2, "idleTimeout": 30},
    "scaling": {"type": "QUEUE_DELAY", "queueDelay": 2},
    "timeout": 300000,
    "flashboot": "FLASHBOOT",
    "env": {"MODEL_NAME": "org/model", "OPENAI_SERVED_MODEL_NAME_OVERRIDE": "router"},
}


async def test_what_the_control_plane_makes_the_data_plane_serves() -> None:
    """Cold, by the addresses that the control plane tells, and it costs what its workers ran."""
    async with running(speed=1000) as here:
        made = (await here.client.post(f"{here.emulator.base_url}/serverless", json=CREATE)).json()
        begun = await here.client.post(
            made["requestUrls"]["run"],
            json={"input": {"openai_route": "/v1/chat/completions", "openai_input": CHAT}},
        )
        told = await here.ended(here.world.endpoint(made["id"]), begun.json()["id"])
        assert told["status"] == "COMPLETED"
        assert told["delayTime"] > 60_000
        bill = here.world.bill(here.emulator.account.id, here.emulator.clock.now())
        assert bill.seconds >= 45
        gone = await here.client.delete(f"{here.emulator.base_url}/serverless/{made['id']}")
        assert gone.status_code == 204


async def test_the_control_plane_fails_on_demand() -> None:
    """As often as it was told; the data plane goes on."""
    async with running() as here:
        demand = f"{here.emulator.origin}/emulator/control-plane"
        assert (await here.client.patch(demand, json={"status": 503, "remaining": 1})).is_success
        listing = f"{here.emulator.base_url}/serverless"
        assert [(await here.client.get(listing)).status_code for _ in range(2)] == [503, 200]


async def test_unknown_paths_are_not_found() -> None:
    async with running() as here:
        for path in ("/", "/v2", "/v2/x/other", "/else"):
            assert (await here.client.get(f"{here.emulator.origin}{path}")).status_code == 404
        assert (await here.client.get(f"{here.emulator.origin}/v1/endpoints")).status_code in {401, 410}


async def test_two_hundred_callers_at_once_on_a_cold_endpoint_are_all_served() -> None:
    async with running(speed=20) as here:
        endpoint = here.queue(Faults(pull_seconds=2.0, load_seconds=4.0), workers_max=3)
        limits = httpx.Limits(max_connections=None)
        headers = dict(here.client.headers)
        async with httpx.AsyncClient(headers=headers, limits=limits, timeout=30, trust_env=False) as crowd:
            url = here.url(endpoint, "openai/v1/chat/completions")
            answers = await asyncio.gather(*(crowd.post(url, json=CHAT | {"max_tokens": 2}) for _ in range(200)))
        assert {answer.status_code for answer in answers} == {200}
        assert endpoint.workers_made <= 3


async def test_a_real_engine_starts_cold_and_goes_with_its_worker(tmp_path: Path) -> None:
    async with running(speed=20, commands=(ImageCommand(pattern="*", words=LLAMA),), logs=tmp_path) as here:
        endpoint = here.queue(Faults(pull_seconds=0.0, load_seconds=0.0))
        asked = CHAT | {"max_tokens": 3}
        answer = await here.post(endpoint, "openai/v1/chat/completions", asked)
        assert answer.json()["usage"]["completion_tokens"] == 3
        stream = await here.post(endpoint, "openai/v1/chat/completions", asked | {"stream": True})
        assert stream.text.endswith("data: [DONE]\n\n")
        assert ["serving router" in text for text in logs_in(tmp_path)] == [True]


@pytest.mark.parametrize("balanced", [False, True])
async def test_the_openai_sdk_gets_the_same_answer_in_every_way(balanced: bool) -> None:
    """As a whole or as a stream, from a queue endpoint or through a load balancer; with a tool and a schema too."""
    async with running() as here:
        endpoint = here.balanced() if balanced else here.queue()
        base_url = here.url(endpoint, "v1" if balanced else "openai/v1")
        async with AsyncOpenAI(base_url=base_url, api_key=KEY, max_retries=0) as client:
            create = client.chat.completions.create
            whole = await create(model="router", messages=[{"role": "user", "content": "hi"}])
            text, usage = "", None
            async for chunk in await create(
                model="router",
                messages=[{"role": "user", "content": "hi"}],
                stream=True,
                stream_options={"include_usage": True},
            ):
                text += "".join(choice.delta.content or "" for choice in chunk.choices)
                usage = chunk.usage or usage
            assert text == whole.choices[0].message.content
            assert usage == whole.usage
            called = await create(
                model="router",
                messages=[{"role": "user", "content": "hi"}],
                tools=[{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}],
                tool_choice="required",
            )
            assert called.choices[0].finish_reason == "tool_calls"
            assert [model.id async for model in client.models.list()] == ["router"]
            with pytest.raises(APIStatusError):
                await create(model="other", messages=[{"role": "user", "content": "hi"}])


def logs_in(folder: Path) -> list[str]:
    """What the engines' logs say."""
    return [log.read_text(encoding="utf-8") for log in folder.glob("worker-*.log")]


async def test_any_program_can_stand_behind_a_load_balancer(tmp_path: Path) -> None:
    """And nothing of it is left when the emulator ends."""
    words = (sys.executable, "-c", SERVER, "{port}")
    async with running(commands=(ImageCommand(pattern="*", words=words),), logs=tmp_path) as here:
        endpoint = here.balanced(cpu=(), disk_gb=5)
        answer = await here.client.get(here.url(endpoint, "anything?x=1"))
        assert (answer.text, answer.headers["x-kept"]) == ("ok", "yes")
        [worker] = endpoint.workers.values()
        died = await here.client.get(here.url(endpoint, "die"))
        assert died.status_code == 502
        await until(lambda: worker.failures == 1)
        assert any("exit status 3" in line.text for line in worker.log)
