"""Chat through the official SDK: what an OpenAI client sees is what OpenAI's own service would show it."""

import asyncio
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

from tests.acceptance.gateway_process import GatewayProcess
from tests.doubles.openai_behaviour import Behaviour
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.acceptance

HELLO: Any = [{"role": "user", "content": "hello"}]
SAID = "Grüße 🙂 from the upstream, in answer to: hello"
PIECES = ["Grüße", " 🙂", " from", " the", " upstream,", " in", " answer", " to:", " hello"]
USAGE_ASKED: Any = {"include_usage": True}


def test_a_chat_is_answered_and_its_tier_and_endpoint_are_named(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="routing", messages=HELLO)
    answer = raw.parse()
    assert answer.choices[0].message.content == SAID
    assert answer.usage is not None
    assert answer.usage.completion_tokens == len(PIECES)
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 4
    assert raw.headers["x-tiergate-tier"] == "routing"
    assert raw.headers["x-tiergate-reason"] == "tier"
    assert raw.headers["x-tiergate-endpoint"]
    assert raw.headers["x-request-id"]


async def test_many_at_once_each_get_their_own_answer(async_client: AsyncOpenAI) -> None:
    async def ask(number: int) -> str | None:
        question: Any = [{"role": "user", "content": f"question-{number}"}]
        answer = await async_client.chat.completions.create(model="routing", messages=question)
        return answer.choices[0].message.content

    answers = await asyncio.gather(*(ask(number) for number in range(20)))
    assert answers == [SAID.replace("hello", f"question-{number}") for number in range(20)]


def test_a_stream_comes_chunk_for_chunk_and_without_usage_that_was_not_asked_for(
    client: OpenAI, routing_upstream: OpenAIUpstream, gateway: GatewayProcess, run: str
) -> None:
    chunks = list(client.chat.completions.create(model="routing", messages=HELLO, stream=True))
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["", *PIECES, ""]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert [chunk.usage for chunk in chunks] == [None] * len(chunks)
    assert routing_upstream.posts[0].json()["stream_options"] == {"include_usage": True}
    record = gateway.record(run=run)
    assert record["usage_reported"] is True
    assert record["output_tokens"] == len(PIECES)


def test_a_stream_that_asks_for_usage_gets_it_in_one_last_chunk_with_empty_choices(client: OpenAI) -> None:
    stream = client.chat.completions.create(model="routing", messages=HELLO, stream=True, stream_options=USAGE_ASKED)
    *chunks, last = list(stream)
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["", *PIECES, ""]
    assert [chunk.usage for chunk in chunks] == [None] * len(chunks)
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == len(PIECES)


async def test_an_asynchronous_stream_says_the_same(async_client: AsyncOpenAI) -> None:
    stream = await async_client.chat.completions.create(model="routing", messages=HELLO, stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == SAID


def test_the_raw_stream_ends_with_done_and_holds_nothing_after_it(gateway: GatewayProcess) -> None:
    body = {"model": "routing", "messages": HELLO, "stream": True}
    answer = gateway.call("POST", "/v1/chat/completions", body)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = answer.body.decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert '"usage":{' not in answer.body.decode()
    assert len(events) == 2 + len(PIECES) + 2


def test_a_client_that_closes_at_done_has_had_its_whole_answer(
    gateway: GatewayProcess, client: OpenAI, run: str
) -> None:
    """The SDK reads no further than ``[DONE]``; that is the end of the answer and no disconnect."""
    for _ in range(20):
        list(client.chat.completions.create(model="routing", messages=HELLO, stream=True))
    gateway.wait_until(lambda: len(gateway.records(run=run)) == 20)
    ended = {(record["outcome"], record["status"]) for record in gateway.records(run=run)}
    assert ended == {("ok", 200)}


@pytest.mark.parametrize("size", [1, 7])
def test_events_and_characters_split_over_writes_arrive_whole(
    client: OpenAI, routing_upstream: OpenAIUpstream, size: int
) -> None:
    routing_upstream.script(Behaviour(write_bytes=size))
    stream = client.chat.completions.create(model="routing", messages=HELLO, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == SAID


def test_usage_in_every_chunk_upstream_reaches_the_client_only_in_a_last_chunk(
    client: OpenAI, routing_upstream: OpenAIUpstream
) -> None:
    routing_upstream.script(Behaviour(usage="continuous"), Behaviour(usage="continuous"))
    asked = list(
        client.chat.completions.create(model="routing", messages=HELLO, stream=True, stream_options=USAGE_ASKED)
    )
    assert [bool(chunk.usage) for chunk in asked] == [False] * (len(asked) - 1) + [True]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in asked[:-1]) == SAID
    silent = list(client.chat.completions.create(model="routing", messages=HELLO, stream=True))
    assert not any(chunk.usage for chunk in silent)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in silent) == SAID


@pytest.mark.parametrize("stream", [False, True])
def test_usage_that_the_endpoint_does_not_report_is_counted_here(
    client: OpenAI, routing_upstream: OpenAIUpstream, gateway: GatewayProcess, run: str, stream: bool
) -> None:
    routing_upstream.script(Behaviour(usage="none", tokens=30))
    body: Any = {"model": "routing", "messages": HELLO, "stream": stream}
    answer = client.chat.completions.create(**body)
    if stream:
        list(answer)
    record = gateway.record(run=run)
    assert record["usage_reported"] is False
    assert record["input_tokens"] > 0
    assert 10 <= record["output_tokens"] <= 256
    assert record["cost_microdollars"] > 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_reported_usage_of_zero_is_zero(
    client: OpenAI, routing_upstream: OpenAIUpstream, gateway: GatewayProcess, run: str, stream: bool
) -> None:
    routing_upstream.script(Behaviour(usage="zero"))
    body: Any = {"model": "routing", "messages": HELLO, "stream": stream}
    answer = client.chat.completions.create(**body)
    if stream:
        list(answer)
    record = gateway.record(run=run)
    assert record["usage_reported"] is True
    assert (record["input_tokens"], record["output_tokens"], record["cost_microdollars"]) == (0, 0, 0)


def test_several_choices_are_kept_apart(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="routing", messages=HELLO, n=2)
    assert [choice.message.content for choice in answer.choices] == [SAID, SAID]
    texts = ["", ""]
    for chunk in client.chat.completions.create(model="routing", messages=HELLO, n=2, stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts == [SAID, SAID]


def test_a_first_delta_of_null_is_passed_on_as_it_is(client: OpenAI, routing_upstream: OpenAIUpstream) -> None:
    routing_upstream.script(Behaviour(first_content_null=True))
    chunks = list(client.chat.completions.create(model="routing", messages=HELLO, stream=True))
    assert chunks[0].choices[0].delta.content is None
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == SAID


def test_a_huge_answer_arrives_whole(client: OpenAI, routing_upstream: OpenAIUpstream) -> None:
    routing_upstream.script(Behaviour(padding_bytes=5_000_000), Behaviour(padding_bytes=500_000))
    answer = client.chat.completions.create(model="routing", messages=HELLO)
    assert answer.model_extra is not None
    assert len(answer.model_extra["padding"]) == 5_000_000
    chunks = list(client.chat.completions.create(model="routing", messages=HELLO, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == SAID
