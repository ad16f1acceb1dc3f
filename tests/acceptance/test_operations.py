"""Every other operation that agents use, through the same gateway: metered like a chat."""

from typing import Any

import pytest
from openai import OpenAI

from tests.acceptance.gateway_process import GatewayProcess
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.acceptance

SAID = "Grüße 🙂 from the upstream, in answer to: hello"
TOKENS = 9


def test_embeddings_come_in_the_sdks_own_encoding(
    client: OpenAI, routing_upstream: OpenAIUpstream, gateway: GatewayProcess, run: str
) -> None:
    """The SDK asks for base64 unless told otherwise; nobody on the way may turn that into null."""
    by_default = client.embeddings.create(model="routing", input=["hello", "world"])
    assert routing_upstream.posts[0].json()["encoding_format"] == "base64"
    as_floats = client.embeddings.create(model="routing", input=["hello", "world"], encoding_format="float")
    assert len(by_default.data[0].embedding) == 8
    for packed, plain in zip(by_default.data, as_floats.data, strict=True):
        assert packed.embedding == pytest.approx(plain.embedding, abs=1e-6)
    gateway.wait_until(lambda: len(gateway.records(run=run)) == 2)
    record = gateway.records(run=run)[0]
    assert (record["operation"], record["output_tokens"]) == ("embeddings", 0)
    assert record["input_tokens"] == by_default.usage.prompt_tokens


def test_a_field_that_was_not_sent_is_not_invented(gateway: GatewayProcess, routing_upstream: OpenAIUpstream) -> None:
    answer = gateway.call("POST", "/v1/embeddings", {"model": "routing", "input": "hello"})
    assert answer.status == 200
    assert set(routing_upstream.posts[0].json()) == {"model", "input"}


@pytest.mark.parametrize("asks", [False, True])
def test_completions_whole_and_streamed(client: OpenAI, asks: bool) -> None:
    whole = client.completions.create(model="routing", prompt="hello")
    assert whole.choices[0].text == SAID
    more: Any = {"stream_options": {"include_usage": True}} if asks else {}
    chunks = list(client.completions.create(model="routing", prompt="hello", stream=True, **more))
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == SAID
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [asks]


def test_responses_whole_and_streamed(client: OpenAI, gateway: GatewayProcess, run: str) -> None:
    whole = client.responses.create(model="routing", input="hello")
    assert whole.output_text == SAID
    with client.responses.stream(model="routing", input="hello") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert final.output_text == SAID
    assert kinds[-1] == "response.completed"
    gateway.wait_until(lambda: len(gateway.records(run=run)) == 2)
    for record in gateway.records(run=run):
        assert record["outcome"] == "ok"
        assert record["usage_reported"] is True
        assert record["output_tokens"] == TOKENS


@pytest.mark.parametrize("stream", [False, True])
def test_messages_are_metered_in_their_own_dialect(gateway: GatewayProcess, run: str, stream: bool) -> None:
    body = {
        "model": "routing",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": "hello"}],
        "stream": stream,
    }
    headers = {"x-tiergate-run": run, "x-api-key": gateway.key, "anthropic-version": "2023-06-01"}
    answer = gateway.call("POST", "/v1/messages", body, key=None, headers=headers)
    assert answer.status == 200
    if stream:
        assert b"event: message_stop" in answer.body
    else:
        assert answer.json()["content"][0]["text"] == SAID
    record = gateway.record(run=run)
    assert (record["operation"], record["output_tokens"]) == ("messages", TOKENS)


def test_rerank_and_tokenize_go_to_vllms_own_paths(
    gateway: GatewayProcess, routing_upstream: OpenAIUpstream, run: str
) -> None:
    headers = {"x-tiergate-run": run}
    documents = {"model": "routing", "query": "b", "documents": ["a", "b"]}
    ranked = gateway.call("POST", "/v1/rerank", documents, headers=headers)
    assert ranked.json()["results"][0]["index"] == 1
    counted = gateway.call("POST", "/tokenize", {"model": "routing", "prompt": "one two"}, headers=headers)
    assert counted.json()["count"] == 2
    assert [request.path for request in routing_upstream.posts] == ["/v1/rerank", "/tokenize"]
    gateway.wait_until(lambda: len(gateway.records(run=run)) == 2)
    assert {record["operation"] for record in gateway.records(run=run)} == {"rerank", "tokenize"}
