"""What vLLM's worker does with a job."""

import ast
import json
from random import Random
from typing import Any

import pytest

from deploy.emulator.data_plane.handler import JobFailed, call_of, handle
from deploy.emulator.engines.generator import Generator
from deploy.emulator.engines.reply import Call, Reply, whole
from deploy.emulator.model.faults import Faults
from tests.deploy.emulator.engines.test_generator import engine
from tests.deploy.emulator.running import CHAT

JOB = {"openai_route": "/v1/chat/completions", "openai_input": CHAT}
STREAM = JOB | {"openai_input": CHAT | {"stream": True}}


class FixedEngine(Generator):
    """Answers everything with one reply."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    async def request(self, call: Call) -> Reply:
        """The reply."""
        del call
        return self._reply


async def work(job_input: dict[str, Any], faults: Faults | None = None, made: Generator | None = None) -> list[Any]:
    return [piece async for piece in handle(job_input, made or engine(), faults or Faults(), Random(1))]


async def test_an_answer_is_one_value() -> None:
    [output] = await work(JOB)
    assert output["choices"][0]["message"]["content"]


async def test_a_stream_is_a_series_of_texts() -> None:
    output = await work(STREAM)
    assert len(output) > 3
    assert "".join(output).endswith("data: [DONE]\n\n")


async def test_an_error_is_a_repr_with_json_inside() -> None:
    with pytest.raises(JobFailed) as failed:
        await work({"openai_route": "/v1/chat/completions", "openai_input": CHAT | {"model": "other"}})
    told = ast.literal_eval(str(failed.value))["error"]
    assert (told["type"], told["code"]) == ("worker_error", None)
    status, _, body = told["message"].removeprefix("vLLM returned HTTP ").partition(": ")
    assert (status, json.loads(body)["error"]["code"]) == ("404", 404)


async def test_an_engines_error_can_be_demanded() -> None:
    with pytest.raises(JobFailed, match=r"vLLM returned HTTP 500: .*InternalServerError"):
        await work(JOB, Faults(engine_status=500))


async def test_a_stream_that_is_cut_has_no_end() -> None:
    assert "[DONE]" not in "".join(await work(STREAM, Faults(cut_after=3)))


async def test_an_answer_is_not_garbled_a_stream_is() -> None:
    assert len(await work(JOB, Faults(garble_every=1))) == 1
    assert "chatcmpl-broken" in "".join(await work(STREAM, Faults(garble_every=2)))


async def test_what_is_no_json_is_a_value_error() -> None:
    reply = Reply(status=200, content_type="application/json", pieces=whole(b"oops"))
    with pytest.raises(ValueError, match="Expecting value"):
        await work(JOB, made=FixedEngine(reply))


def test_a_job_without_a_route_is_made_one() -> None:
    chat = call_of({"messages": [], "sampling_params": {"max_tokens": 3}})
    assert (chat.path, json.loads(chat.body)) == ("/v1/chat/completions", {"messages": [], "max_tokens": 3})
    assert call_of({"prompt": "hi"}).path == "/v1/completions"
    assert call_of({"openai_route": "v1/models"}) == Call(method="GET", path="/v1/models")
