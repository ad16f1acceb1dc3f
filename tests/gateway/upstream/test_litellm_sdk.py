"""LiteLLM's SDK against a server that speaks OpenAI's API."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.clock import SystemClock
from gateway.errors import UpstreamAnswered, UpstreamFailed, UpstreamRefused, UpstreamTimeout, UpstreamUnreachable
from gateway.upstream.litellm_sdk import LiteLlm
from gateway.upstream.transport import UpstreamRequest, UpstreamResponse
from gateway.wire.events import EventStream
from tests.doubles.openai_behaviour import Behaviour
from tests.doubles.openai_upstream import OpenAIUpstream
from tests.gateway.samples import CHAT, token_tier
from tests.gateway.upstream.litellm_installed import MARKS, closing_clients, need_litellm
from tiers.tiermap import Endpoint, Timeouts

need_litellm()
pytestmark = MARKS

KEY = "sk-not-to-be-shown"
PATIENT = 30.0
"""The SDK imports much of itself with its first call."""
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}


class Called:
    """A provider, and the transport that calls it through the SDK."""

    def __init__(self, upstream: OpenAIUpstream, *, api_key: str | None = KEY, model: str = "openai/double-8b") -> None:
        self.upstream = upstream
        self.endpoint = Endpoint(
            name="overflow/0", url=upstream.url, transport="litellm", timeouts=Timeouts(headers=PATIENT, idle=2.0)
        )
        self.transport = self.at(self.endpoint, api_key=api_key, model=model)

    def at(self, endpoint: Endpoint, *, api_key: str | None = KEY, model: str = "openai/double-8b") -> LiteLlm:
        """A transport to another endpoint."""
        tier = token_tier("overflow", model=model, endpoints=(endpoint,))
        return LiteLlm(endpoint=endpoint, tier=tier, api_key=api_key, clock=SystemClock())

    async def send(self, path: str = CHAT.path, **body: Any) -> UpstreamResponse:  # noqa: ANN401 - any JSON
        """A request, by default a chat."""
        return await self.transport.send(request(path, **body))

    async def answer(self, path: str = CHAT.path, **body: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
        """The same, read."""
        response = await self.send(path, **body)
        told: dict[str, Any] = json.loads(await response.read(1_000_000)) | {"status": response.status}
        return told


def request(path: str = CHAT.path, **body: Any) -> UpstreamRequest:  # noqa: ANN401 - any JSON
    """A request, by default a chat."""
    whole = {"messages": [{"role": "user", "content": "Hi"}]} | body if path == CHAT.path else body
    return UpstreamRequest(method=b"POST", path=path.encode(), headers=(), body=json.dumps(whole).encode())


@pytest.fixture(scope="module", autouse=True)
def garbage() -> Iterator[None]:
    """What the SDK did not close is found before other tests begin, which would be blamed for it."""
    yield
    gc.collect()


@pytest.fixture
async def called() -> AsyncIterator[Called]:
    """One that answers well."""
    async with OpenAIUpstream(api_key=KEY) as upstream, closing_clients():
        yield Called(upstream)


async def test_a_whole_answer_has_the_providers_words_and_usage(called: Called) -> None:
    told = await called.answer()
    [choice] = told["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"].endswith("in answer to: Hi")
    assert told["usage"]["total_tokens"] == told["usage"]["prompt_tokens"] + told["usage"]["completion_tokens"]
    assert called.upstream.posts[0].json()["model"] == "double-8b"


async def test_a_stream_says_the_same_and_its_usage_is_read_as_any_others(called: Called) -> None:
    whole = await called.answer()
    body = await (await called.send(stream=True)).read(1_000_000)
    events = EventStream(CHAT.dialect, wants_usage=True)
    passed = events.feed(body) + events.finish()
    said = "".join(
        choice["delta"].get("content", "")
        for line in passed.decode().split("\n\n")
        if line.startswith("data: {")
        for choice in json.loads(line[6:])["choices"]
    )
    assert said == whole["choices"][0]["message"]["content"]
    assert events.complete
    assert events.usage is not None
    assert (events.usage.input, events.usage.output) == (
        whole["usage"]["prompt_tokens"],
        whole["usage"]["completion_tokens"],
    )


@pytest.mark.parametrize("stream", [False, True])
async def test_tools_are_called(called: Called, stream: bool) -> None:
    response = await called.send(stream=stream, tools=[TOOL], tool_choice="required")
    body = await response.read(1_000_000)
    assert b'"look_up"' in body
    assert b"tool_calls" in body
    assert called.upstream.posts[0].json()["tools"] == [TOOL]


async def test_a_form_of_the_answer_and_unknown_fields_reach_the_provider(called: Called) -> None:
    form = {"type": "json_object"}
    await called.answer(response_format=form, top_k=3, api_base="http://evil.test", mock_response="made up")
    sent = called.upstream.posts[0].json()
    assert (sent["response_format"], sent["top_k"], sent["mock_response"]) == (form, 3, "made up")


async def test_completions_and_embeddings_are_served(called: Called) -> None:
    told = await called.answer("/v1/completions", prompt="Hello", max_tokens=4)
    assert (told["object"], told["usage"]["completion_tokens"]) == ("text_completion", 4)
    body = await (await called.send("/v1/completions", prompt="Hello", max_tokens=4, stream=True)).read(1_000_000)
    assert body.endswith(b"data: [DONE]\n\n")
    assert b'"choices":[],"usage":{"completion_tokens":4' in body
    told = await called.answer("/v1/embeddings", input=["a", "b"])
    assert (len(told["data"]), told["usage"]["prompt_tokens"] > 0) == (2, True)


async def test_other_operations_are_refused_clearly(called: Called) -> None:
    with pytest.raises(UpstreamRefused, match="/v1/responses here: only chat"):
        await called.send("/v1/responses", input="Hi")
    assert called.upstream.posts == []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [400, 404, 422])
async def test_what_the_caller_has_to_change_passes(called: Called, status: int, stream: bool) -> None:
    called.upstream.script(Behaviour(status=status))
    told = await called.answer(stream=stream)
    assert (told["status"], told["error"]["message"]) == (status, "scripted failure")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_the_provider_has_to_change_is_its_failure_and_not_tried_again(
    called: Called, status: int, stream: bool
) -> None:
    """Another try is the gateway's to decide."""
    called.upstream.script(Behaviour(status=status))
    with pytest.raises(UpstreamAnswered, match="scripted failure") as caught:
        await called.send(stream=stream)
    assert caught.value.limited == (status == 429)
    assert len(called.upstream.posts) == 1


async def test_a_refused_key_is_named_and_never_shown() -> None:
    async with OpenAIUpstream(api_key="another") as upstream, closing_clients():
        with pytest.raises(UpstreamRefused, match="refused the gateway's key") as caught:
            await Called(upstream).send()
        assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "fault", [{"cut_after": 2}, {"reset_after": 2}, {"end_after": 2}, {"garble_at": 2}, {"stall_after": 2}]
)
async def test_a_stream_that_breaks_never_looks_like_success(called: Called, fault: dict[str, int]) -> None:
    """Also where the provider ends it properly in the middle: the SDK itself makes up an end then."""
    called.upstream.script(Behaviour(**fault))  # type: ignore[arg-type]
    response = await called.send(stream=True)
    pieces: list[bytes] = []
    with pytest.raises(UpstreamFailed):
        await response.pump(lambda piece: not pieces.append(piece))  # type: ignore[func-returns-value]
    await response.aclose()
    assert pieces
    assert not any(b"[DONE]" in piece for piece in pieces)
    assert not response.complete


async def test_silence_before_an_answer_is_a_timeout(called: Called) -> None:
    called.upstream.script(Behaviour(silent=True), Behaviour(silent=True))
    transport = called.at(replace(called.endpoint, timeouts=Timeouts(headers=0.5)))
    for stream in (False, True):
        with pytest.raises(UpstreamTimeout, match="timeout headers"):
            await transport.send(request(stream=stream))


async def test_a_connection_that_cannot_be_made_has_cost_nothing(called: Called) -> None:
    transport = called.at(replace(called.endpoint, url="http://127.0.0.1:9/v1"))
    with pytest.raises(UpstreamUnreachable):
        await transport.send(request())


async def test_a_connection_that_is_reset_may_have(called: Called) -> None:
    called.upstream.script(Behaviour(reset_at_once=True))
    with pytest.raises(UpstreamFailed) as caught:
        await called.send()
    assert not isinstance(caught.value, UpstreamUnreachable)


async def test_leaving_a_stream_is_seen_by_the_provider_at_once(called: Called) -> None:
    called.upstream.script(Behaviour(tokens=1000, pace_seconds=0.01))
    response = await called.send(stream=True)
    await response.chunk()
    await response.aclose()
    async with asyncio.timeout(5):
        while not called.upstream.posts[0].closed_early:  # noqa: ASYNC110 - the server tells only threads
            await asyncio.sleep(0.01)
    await called.transport.aclose()


def test_without_a_url_it_is_the_providers_own_and_a_model_needs_a_provider() -> None:
    endpoint = Endpoint(name="overflow/0", url="", transport="litellm")
    tier = token_tier("overflow", model="nobodys-model", endpoints=(endpoint,))
    with pytest.raises(ValueError, match="knows no provider"):
        LiteLlm(endpoint=endpoint, tier=tier, api_key=None, clock=SystemClock())
    LiteLlm(endpoint=endpoint, tier=replace(tier, model="openai/gpt-4o-mini"), api_key=None, clock=SystemClock())
