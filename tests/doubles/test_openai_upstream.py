"""The double is held against the official SDK before anything is tested with it."""

import asyncio
import http.client
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.doubles.openai_behaviour import CONTENT_FILTER, CONTEXT_TOO_LONG, ERROR_IN_200, HTML_IN_200, Behaviour
from tests.doubles.openai_upstream import OpenAIUpstream

MODEL = "double-8b"
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
HELLO: Any = [{"role": "user", "content": "hello"}]


class Verdict(BaseModel):
    """A simple schema for structured output."""

    label: str
    score: float
    tags: list[str]


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIUpstream]:
    async with OpenAIUpstream() as running:
        yield running


@pytest.fixture
async def client(upstream: OpenAIUpstream) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=upstream.url, api_key="k", max_retries=0, timeout=3) as opened:
        yield opened


async def content_of(client: AsyncOpenAI, **more: Any) -> str:  # noqa: ANN401 -- any request field
    stream = await client.chat.completions.create(model=MODEL, messages=HELLO, stream=True, **more)
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])


async def test_chat_is_answered_with_the_callers_words_and_usage(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model=MODEL, messages=HELLO)
    assert answer.choices[0].message.content == "Grüße 🙂 from the upstream, in answer to: hello"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 9
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 4


async def test_a_stream_says_the_same_and_usage_only_when_asked(client: AsyncOpenAI) -> None:
    assert await content_of(client) == "Grüße 🙂 from the upstream, in answer to: hello"
    for options in ({}, {"stream_options": {"include_usage": True}}):
        stream = await client.chat.completions.create(model=MODEL, messages=HELLO, stream=True, **options)  # type: ignore[call-overload]
        chunks = [chunk async for chunk in stream]
        assert [bool(chunk.usage) for chunk in chunks].count(True) == len(options)
        assert (chunks[-1].choices == []) is bool(options)


async def test_bytes_split_anywhere_are_still_the_same_stream(client: AsyncOpenAI, upstream: OpenAIUpstream) -> None:
    upstream.script(Behaviour(write_bytes=1))
    assert await content_of(client) == "Grüße 🙂 from the upstream, in answer to: hello"


async def test_tools_are_called_whole_and_streamed_and_their_result_is_answered(client: AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model=MODEL, messages=HELLO, tools=[WEATHER])
    assert whole.choices[0].finish_reason == "tool_calls"
    async with client.chat.completions.stream(model=MODEL, messages=HELLO, tools=[WEATHER]) as stream:
        final = await stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].function.arguments == '{"city": "text"}'
    result: Any = {"role": "tool", "tool_call_id": calls[0].id, "content": "22 degrees"}
    answer = await client.chat.completions.create(model=MODEL, messages=[*HELLO, result], tools=[WEATHER])
    assert str(answer.choices[0].message.content).endswith("22 degrees")


async def test_a_json_schema_is_answered_with_an_instance(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=Verdict)
    assert answer.choices[0].message.parsed == Verdict(label="text", score=1.5, tags=["text"])


async def test_limits_and_counts_are_exact(client: AsyncOpenAI, upstream: OpenAIUpstream) -> None:
    upstream.script(Behaviour(tokens=40), Behaviour(tokens=40))
    cut = await client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=7, n=2)
    assert [choice.finish_reason for choice in cut.choices] == ["length", "length"]
    assert cut.usage is not None
    assert cut.usage.completion_tokens == 14
    full = await client.chat.completions.create(model=MODEL, messages=HELLO)
    assert full.usage is not None
    assert full.usage.completion_tokens == 40


async def test_the_other_dialects_speak_as_the_sdk_expects(client: AsyncOpenAI, upstream: OpenAIUpstream) -> None:
    text = await client.completions.create(model=MODEL, prompt="hello")
    assert text.choices[0].text.endswith("hello")
    vectors = await client.embeddings.create(model=MODEL, input=["a", "b"])
    assert len(vectors.data[1].embedding) == 8
    assert upstream.requests[-1].json()["encoding_format"] == "base64"
    response = await client.responses.create(model=MODEL, input="hello")
    assert response.output_text.endswith("hello")
    events = [event async for event in await client.responses.create(model=MODEL, input="hi", stream=True)]
    assert events[-1].type == "response.completed"
    assert [model.id async for model in client.models.list()] == [MODEL]
    ranked = await client.post(
        "/rerank", body={"model": MODEL, "query": "b", "documents": ["a", "b"]}, cast_to=dict[str, Any]
    )
    assert ranked["results"][0]["index"] == 1


async def test_what_vllm_refuses_is_refused(client: AsyncOpenAI, upstream: OpenAIUpstream) -> None:
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        await client.chat.completions.create(model="other", messages=HELLO)
    with pytest.raises(openai.BadRequestError, match="null"):
        await client.post(
            "/embeddings",
            body={"model": MODEL, "input": "a", "encoding_format": None},
            cast_to=dict[str, Any],
        )
    with pytest.raises(openai.BadRequestError, match="Stream options"):
        await client.chat.completions.create(model=MODEL, messages=HELLO, stream_options={"include_usage": True})
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve(MODEL)
    upstream.api_key = "other"
    with pytest.raises(openai.AuthenticationError):
        await client.chat.completions.create(model=MODEL, messages=HELLO)


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (Behaviour(silent=True), openai.APITimeoutError),
        (Behaviour(reset_at_once=True), openai.APIConnectionError),
        (Behaviour(stall_after=2), openai.APITimeoutError),
        (Behaviour(cut_after=2), openai.APIConnectionError),
        (Behaviour(reset_after=2), openai.APIConnectionError),
        (Behaviour(garble_at=2), ValueError),
        (Behaviour(status=503, retry_after="3"), openai.InternalServerError),
        (Behaviour(status=429), openai.RateLimitError),
    ],
)
async def test_faults_reach_the_client(upstream: OpenAIUpstream, behaviour: Behaviour, error: type[Exception]) -> None:
    upstream.script(behaviour)
    async with AsyncOpenAI(base_url=upstream.url, api_key="k", max_retries=0, timeout=0.3) as client:
        with pytest.raises(error):
            await content_of(client)


async def test_usage_can_be_missing_zero_or_in_every_chunk(client: AsyncOpenAI, upstream: OpenAIUpstream) -> None:
    seen = []
    for usage in ("none", "zero", "continuous"):
        stream = await client.chat.completions.create(
            model=MODEL,
            messages=HELLO,
            stream=True,
            stream_options={"include_usage": True},
            extra_body={"behaviour": {"usage": usage, "tokens": 3, "first_content_null": True}},
        )
        chunks = [chunk async for chunk in stream]
        assert chunks[0].choices[0].delta.content is None
        seen.append([chunk.usage.completion_tokens for chunk in chunks if chunk.usage])
    assert seen == [[], [0], [0, 1, 2, 3, 3, 3]]
    assert upstream.requests[0].json()["behaviour"]["usage"] == "none"


async def test_bodies_that_are_no_answer_can_be_scripted(client: AsyncOpenAI, upstream: OpenAIUpstream) -> None:
    upstream.script(ERROR_IN_200, HTML_IN_200, Behaviour(extra={"x_new": 1}, padding_bytes=100_000))
    broken = await client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)
    assert "engine is dead" in broken.text
    page = await client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)
    assert page.headers["content-type"] == "text/html"
    huge = await client.chat.completions.create(model=MODEL, messages=HELLO)
    assert huge.model_extra is not None
    assert huge.model_extra["x_new"] == 1
    assert len(huge.model_extra["padding"]) == 100_000


UNFINISHED: Any = [*HELLO, {"role": "assistant", "content": "one two th"}]
CONTINUE: Any = {"continue_final_message": True, "add_generation_prompt": False}


async def test_an_unfinished_message_is_continued_from_where_it_stops(
    client: AsyncOpenAI, upstream: OpenAIUpstream
) -> None:
    upstream.script(Behaviour(text="one two three four"))
    answer = await client.chat.completions.create(model=MODEL, messages=UNFINISHED, extra_body=CONTINUE)
    assert answer.choices[0].message.content == "ree four"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 2


async def test_what_cannot_be_continued_is_refused(client: AsyncOpenAI, upstream: OpenAIUpstream) -> None:
    upstream.default = Behaviour(refuses_prefill=True)
    with pytest.raises(openai.BadRequestError, match="prefill"):
        await client.chat.completions.create(model=MODEL, messages=UNFINISHED, extra_body=CONTINUE)
    with pytest.raises(openai.BadRequestError, match="add_generation_prompt"):
        await client.chat.completions.create(
            model=MODEL, messages=UNFINISHED, extra_body={"continue_final_message": True}
        )
    assert (await client.chat.completions.create(model=MODEL, messages=HELLO)).choices


async def test_refusals_have_the_words_of_their_servers(client: AsyncOpenAI, upstream: OpenAIUpstream) -> None:
    upstream.script(CONTEXT_TOO_LONG["vllm"], CONTEXT_TOO_LONG["openai"], CONTENT_FILTER)
    codes = []
    for _ in range(3):
        with pytest.raises(openai.BadRequestError) as caught:
            await client.chat.completions.create(model=MODEL, messages=HELLO)
        codes.append(caught.value.code)
    assert codes == ["400", "context_length_exceeded", "content_filter"]


async def test_during_an_outage_nothing_is_answered_otherwise(client: AsyncOpenAI, upstream: OpenAIUpstream) -> None:
    upstream.down = Behaviour(status=503)
    with pytest.raises(openai.InternalServerError):
        await client.models.list()
    with pytest.raises(openai.InternalServerError):
        await client.chat.completions.create(model=MODEL, messages=HELLO, extra_body={"behaviour": {}})
    upstream.down = None
    assert [model.id async for model in client.models.list()] == [MODEL]


async def test_servers_can_share_a_script(client: AsyncOpenAI, upstream: OpenAIUpstream) -> None:
    async with OpenAIUpstream(beside=upstream) as other:
        upstream.script(Behaviour(text="first"), Behaviour(text="second"))
        said = [
            (await asked.chat.completions.create(model=MODEL, messages=HELLO)).choices[0].message.content
            for asked in (client.with_options(base_url=other.url), client)
        ]
    assert said == ["first", "second"]


async def test_an_answer_without_a_length_ends_with_its_connection(
    client: AsyncOpenAI, upstream: OpenAIUpstream
) -> None:
    upstream.script(Behaviour(close_delimited=True))
    raw = await client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)
    assert raw.headers.get("content-length") is None
    assert raw.parse().choices[0].message.content


async def test_the_first_token_can_be_late_while_the_stream_has_begun(
    client: AsyncOpenAI, upstream: OpenAIUpstream
) -> None:
    upstream.script(Behaviour(first_token_seconds=0.2))
    stream = await client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    times = [asyncio.get_running_loop().time() async for _ in stream]
    assert times[1] - times[0] > 0.15


def test_the_clients_leaving_is_seen_with_its_time_and_what_was_sent() -> None:
    with OpenAIUpstream().in_thread() as upstream:
        upstream.script(Behaviour(stall_after=2))
        connection = http.client.HTTPConnection("127.0.0.1", int(upstream.url.split(":")[2].split("/")[0]))
        body = {"model": MODEL, "messages": HELLO, "stream": True}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"authorization": "Bearer k"})
        response = connection.getresponse()
        while b"\xf0\x9f\x99\x82" not in response.readline():  # the second token
            pass
        upstream.wait_until(lambda: upstream.posts[0].tokens_sent == 2)
        response.close()
        connection.close()
        upstream.wait_until(lambda: bool(upstream.posts) and upstream.posts[0].ended_at is not None)
        seen = upstream.posts[0]
    assert seen.closed_early
    assert seen.closed_at is not None
    assert seen.tokens_sent == 2
    assert seen.header("Authorization") == "Bearer k"


async def test_it_runs_as_a_process() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.doubles.openai_upstream", "--model", "m", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 10)
        async with AsyncOpenAI(base_url=line.decode().strip(), api_key="k") as client:
            assert [model.id async for model in client.models.list()] == ["m"]
    finally:
        process.terminate()
        await process.wait()
