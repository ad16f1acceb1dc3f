"""Which tier serves a request, what the answer says about it, and what is done when its endpoint fails."""

from typing import Any

import pytest
from openai import InternalServerError, NotFoundError, OpenAI, PermissionDeniedError

from tests.acceptance.conftest import NARROW_KEY, REASONING_MODEL, ROUTING_MODEL
from tests.acceptance.gateway_process import GatewayProcess
from tests.doubles.openai_behaviour import ERROR_IN_200, HTML_IN_200, Behaviour
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.acceptance

HELLO: Any = [{"role": "user", "content": "hello"}]
FAILING = {
    "500": Behaviour(status=500),
    "503": Behaviour(status=503, retry_after="1"),
    "reset": Behaviour(reset_at_once=True),
    "error in 200": ERROR_IN_200,
    "html in 200": HTML_IN_200,
}


def asked(client: OpenAI, model: str, *, stream: bool = False, **headers: str) -> dict[str, str]:
    """Ask, see an answer, and return tier and reason by the answer's headers."""
    named = {f"x-tiergate-{name}": value for name, value in headers.items()}
    body: Any = {"model": model, "messages": HELLO, "stream": stream, "extra_headers": named}
    raw = client.chat.completions.with_raw_response.create(**body)
    answer = raw.parse()
    text = (
        "".join(chunk.choices[0].delta.content or "" for chunk in answer)
        if stream
        else answer.choices[0].message.content
    )
    assert text.endswith("hello")
    return {name: raw.headers[f"x-tiergate-{name}"] for name in ("tier", "reason")}


@pytest.mark.parametrize(
    ("model", "tier", "reason"),
    [
        ("routing", "routing", "tier"),
        ("gpt-4.1-mini", "routing", "alias"),
        ("small", "routing", "alias"),
        (ROUTING_MODEL, "routing", "model"),
        (REASONING_MODEL, "reasoning", "model"),
    ],
)
def test_a_tier_answers_to_its_name_its_aliases_and_its_model(
    client: OpenAI, model: str, tier: str, reason: str
) -> None:
    assert asked(client, model) == {"tier": tier, "reason": reason}


@pytest.mark.parametrize(
    ("agent", "tier", "reason"),
    [
        ("thinker", "reasoning", "route:thinkers"),
        ("analyst-7", "reasoning", "route:thinkers"),
        ("writer", "routing", "route:default"),
        ("", "routing", "route:default"),
    ],
)
def test_auto_goes_by_the_agent(
    client: OpenAI, reasoning_upstream: OpenAIUpstream, agent: str, tier: str, reason: str
) -> None:
    assert asked(client, "auto", agent=agent) == {"tier": tier, "reason": reason}
    assert len(reasoning_upstream.posts) == (tier == "reasoning")


def test_the_endpoint_sees_its_own_models_name(
    client: OpenAI, routing_upstream: OpenAIUpstream, reasoning_upstream: OpenAIUpstream
) -> None:
    asked(client, "small")
    asked(client, "auto", agent="thinker")
    assert routing_upstream.posts[0].json()["model"] == ROUTING_MODEL
    assert reasoning_upstream.posts[0].json()["model"] == REASONING_MODEL


@pytest.mark.parametrize(
    ("name", "stream"), [(name, stream) for name in FAILING for stream in (False, True)] + [("cut", False)]
)
def test_an_endpoint_that_fails_before_its_first_byte_is_replaced_by_the_fallback(
    *,
    client: OpenAI,
    routing_upstream: OpenAIUpstream,
    gateway: GatewayProcess,
    run: str,
    name: str,
    stream: bool,
) -> None:
    routing_upstream.default = FAILING.get(name, Behaviour(cut_after=0))
    assert asked(client, "flaky", stream=stream) == {"tier": "reasoning", "reason": "fallback"}
    record = gateway.record(run=run)
    assert record["outcome"] == "ok"
    assert record["attempts"] >= 2
    assert (record["tier"], record["reason"]) == ("reasoning", "fallback")


@pytest.mark.parametrize("stream", [False, True])
def test_an_endpoint_that_refuses_connections_is_replaced_by_the_fallback(client: OpenAI, stream: bool) -> None:
    assert asked(client, "dead", stream=stream) == {"tier": "reasoning", "reason": "fallback"}


def test_without_a_fallback_the_error_says_that_nothing_was_reached(client: OpenAI) -> None:
    with pytest.raises(InternalServerError) as caught:
        client.with_options(max_retries=0).chat.completions.create(model="lonely", messages=HELLO)
    assert (caught.value.status_code, caught.value.code) == (503, "upstream_unreachable")


def test_models_lists_the_names_that_a_key_may_use(client: OpenAI) -> None:
    names = {model.id for model in client.models.list()}
    assert {"routing", "reasoning", "gpt-4.1-mini", "small", ROUTING_MODEL, REASONING_MODEL, "auto"} <= names
    narrow = client.with_options(api_key=NARROW_KEY)
    assert {model.id for model in narrow.models.list()} == {
        "auto",
        "gpt-4.1-mini",
        "routing",
        "small",
        ROUTING_MODEL,
    }


@pytest.mark.parametrize("name", ["routing", "small", "auto", ROUTING_MODEL])
def test_one_model_can_be_looked_up(client: OpenAI, name: str) -> None:
    model = client.models.retrieve(name)
    assert (model.id, model.object) == (name, "model")


def test_a_name_that_a_key_may_not_use_is_not_there_for_it(client: OpenAI) -> None:
    narrow = client.with_options(api_key=NARROW_KEY)
    with pytest.raises(NotFoundError):
        narrow.models.retrieve("reasoning")
    with pytest.raises(PermissionDeniedError) as caught:
        narrow.chat.completions.create(model="reasoning", messages=HELLO)
    assert caught.value.code == "tier_not_allowed"
    assert narrow.chat.completions.create(model="auto", messages=HELLO).choices[0].message.content
