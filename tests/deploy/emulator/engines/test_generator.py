"""The engine without a model."""

import asyncio
import json
from typing import Any

import jsonschema

from deploy.emulator.engines.generator import Generator
from deploy.emulator.engines.reply import Call, Reply
from deploy.emulator.engines.speed import Speed
from tests.deploy.emulator.worlds import config

CHAT = {"model": "router", "messages": [{"role": "user", "content": "hi"}]}
SPEED = Speed(prefill=100.0, decode=10.0, half_batch=1)
SCHEMA = {"type": "object", "properties": {"tier": {"enum": ["small", "large"]}}, "required": ["tier"]}
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": SCHEMA}}


class CountedTime:
    """Lets every sleeper go on at once, and counts what they slept."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        """The sum of it."""
        return sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        """Note it."""
        self.slept.append(seconds)
        await asyncio.sleep(0)


def engine(seed: int = 1, time: CountedTime | None = None) -> Generator:
    return Generator(config(), SPEED, time or CountedTime(), seed=seed)


async def ask(made: Generator, path: str, asked: object) -> Reply:
    return await made.request(Call(method="POST", path=path, body=json.dumps(asked).encode()))


async def answer(made: Generator, asked: dict[str, Any], path: str = "/v1/chat/completions") -> dict[str, Any]:
    reply = await ask(made, path, asked)
    body = b"".join([piece async for piece in reply.pieces])
    told: dict[str, Any] = json.loads(body)
    return told


async def events(made: Generator, asked: dict[str, Any], path: str = "/v1/chat/completions") -> list[dict[str, Any]]:
    reply = await ask(made, path, asked | {"stream": True, "stream_options": {"include_usage": True}})
    assert reply.content_type.startswith("text/event-stream")
    text = b"".join([piece async for piece in reply.pieces]).decode()
    *told, done, rest = text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(event.removeprefix("data: ")) for event in told]


async def test_a_stream_says_what_an_answer_says() -> None:
    """In text, finish reason, usage and id; and the same again for the same seed."""
    whole = await answer(engine(), CHAT)
    told = await events(engine(), CHAT)
    content = "".join(event["choices"][0]["delta"].get("content", "") for event in told[:-1])
    assert content == whole["choices"][0]["message"]["content"] != ""
    assert told[-2]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"] == "stop"
    assert (told[-1]["choices"], told[-1]["usage"]) == ([], whole["usage"])
    assert {event["id"] for event in told} == {whole["id"]}
    assert await answer(engine(), CHAT) == whole
    assert await answer(engine(seed=2), CHAT) != whole


async def test_max_tokens_ends_an_answer() -> None:
    whole = await answer(engine(), CHAT | {"max_tokens": 3})
    assert whole["choices"][0]["finish_reason"] == "length"
    assert whole["usage"]["completion_tokens"] == 3


async def test_completions_are_plain_text() -> None:
    asked = {"model": "router", "prompt": "hi", "max_tokens": 5}
    whole = await answer(engine(), asked, "/v1/completions")
    told = await events(engine(), asked, "/v1/completions")
    assert "".join(event["choices"][0]["text"] for event in told[:-1]) == whole["choices"][0]["text"]
    assert whole["object"] == "text_completion"


async def test_a_schema_is_kept() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    whole = await answer(engine(), CHAT | {"response_format": wanted})
    jsonschema.validate(json.loads(whole["choices"][0]["message"]["content"]), SCHEMA)


async def test_a_tool_is_called_with_arguments_that_it_takes() -> None:
    asked = CHAT | {"tools": [TOOL], "tool_choice": "required"}
    whole = await answer(engine(), asked)
    [call] = whole["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "look_up"
    jsonschema.validate(json.loads(call["function"]["arguments"]), SCHEMA)
    assert whole["choices"][0]["finish_reason"] == "tool_calls"
    told = await events(engine(), asked)
    parts = [part for event in told[:-1] for part in event["choices"][0]["delta"].get("tool_calls", [])]
    assert "".join(part["function"]["arguments"] for part in parts) == call["function"]["arguments"]
    assert (parts[0]["id"], parts[0]["function"]["name"]) == (call["id"], "look_up")
    assert all("id" not in part for part in parts[1:])


async def test_a_broken_answer_is_continued_where_it_broke() -> None:
    whole = (await answer(engine(), CHAT))["choices"][0]["message"]["content"]
    begun = whole[:11]
    messages = [*CHAT["messages"], {"role": "assistant", "content": begun}]
    rest = await answer(engine(), CHAT | {"messages": messages, "continue_final_message": True})
    assert begun + rest["choices"][0]["message"]["content"] == whole
    foreign = [*CHAT["messages"], {"role": "assistant", "content": "something else"}]
    other = await answer(engine(), CHAT | {"messages": foreign, "continue_final_message": True})
    assert other["choices"][0]["message"]["content"] == whole


async def test_a_prompt_takes_its_prefill_and_each_token_its_time() -> None:
    time = CountedTime()
    whole = await answer(engine(time=time), CHAT)
    assert time.slept[0] == whole["usage"]["prompt_tokens"] / 100
    assert time.slept[1:] == [0.1] * whole["usage"]["completion_tokens"]


async def test_requests_at_once_slow_each_other_down() -> None:
    time = CountedTime()
    made = engine(time=time)
    await asyncio.gather(answer(made, CHAT), answer(made, CHAT))
    assert max(time.slept) == 0.2
    time.slept.clear()
    await answer(made, CHAT)
    assert max(time.slept[1:]) == 0.1


async def test_models_health_and_unknown_paths() -> None:
    made = engine()
    models = await made.request(Call(method="GET", path="/v1/models"))
    listed = json.loads(b"".join([piece async for piece in models.pieces]))
    assert listed["data"][0]["id"] == "router"
    assert (await made.request(Call(method="GET", path="/ping?x=1"))).status == 200
    assert (await made.request(Call(method="GET", path="/health"))).status == 200
    assert (await made.request(Call(method="GET", path="/v1/other"))).status == 404


async def test_a_refusal_is_answered_in_vllms_words() -> None:
    reply = await ask(engine(), "/v1/chat/completions", CHAT | {"model": "other"})
    assert reply.status == 404
    assert b"does not exist" in b"".join([piece async for piece in reply.pieces])


async def test_it_starts_at_once_and_never_ends_by_itself() -> None:
    made = engine()
    await made.start()
    ending = asyncio.get_running_loop().create_task(made.ended())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not ending.done()
    ending.cancel()
    await made.stop()
