"""What the gateway does not understand it leaves alone, in both directions."""

import json
from typing import Any

import pytest
from openai import OpenAI

from tests.acceptance.conftest import ROUTING_MODEL, TIER_OUTPUT
from tests.acceptance.gateway_process import GatewayProcess
from tests.doubles.openai_behaviour import Behaviour
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.acceptance

HELLO: Any = [{"role": "user", "content": "hello"}]
ODD = (
    '{ "future": {"a": [1, 2.50, -0.0, 1e400, 12345678901234567890], "model": "inner"},\n'
    '  "model" : "routing", '
    '"messages":[{"role":"user","content":"gr\\u00fc\\u00dfe \\ud83d\\ude42 \\"model\\": 1"}],'
    '\t"unknown": null, "temperature": 0.70, "max_tokens" : 64 %s}'
)
"""Escapes, spaces, number forms, a decoy ``model``: all that parsing and writing anew would change."""


def test_a_requests_bytes_are_the_callers_but_for_the_model(
    gateway: GatewayProcess, routing_upstream: OpenAIUpstream
) -> None:
    sent = (ODD % "").encode()
    answer = gateway.call("POST", "/v1/chat/completions", sent)
    assert answer.status == 200
    expected = sent.replace(b'"model" : "routing"', f'"model" : "{ROUTING_MODEL}"'.encode())
    assert routing_upstream.posts[0].body == expected


def test_a_streams_request_gains_usage_and_nothing_else(
    gateway: GatewayProcess, routing_upstream: OpenAIUpstream
) -> None:
    sent = (ODD % ', "stream": true').encode()
    answer = gateway.call("POST", "/v1/chat/completions", sent)
    assert answer.status == 200
    body = routing_upstream.posts[0].body
    expected = sent.replace(b'"model" : "routing"', f'"model" : "{ROUTING_MODEL}"'.encode())
    assert body.startswith(expected[:-1].rstrip())
    assert json.loads(body)["stream_options"] == {"include_usage": True}
    assert set(json.loads(body)) == {*json.loads(sent), "stream_options"}


def test_a_caller_that_sets_no_bound_gets_the_tiers_and_one_that_does_keeps_it(
    gateway: GatewayProcess, routing_upstream: OpenAIUpstream
) -> None:
    """Budgets hold ``output`` tokens for such a caller, so the endpoint must not send more."""
    ask = {"model": "routing", "messages": [{"role": "user", "content": "Hi"}]}
    for body in (ask, ask | {"max_tokens": 9}, ask | {"max_completion_tokens": 9}):
        assert gateway.call("POST", "/v1/chat/completions", json.dumps(body).encode()).status == 200
    unbound, bound, renamed = (json.loads(request.body) for request in routing_upstream.posts)
    assert unbound["max_tokens"] == TIER_OUTPUT
    assert bound["max_tokens"] == 9
    assert "max_tokens" not in renamed


def test_a_callers_own_model_name_needs_no_change_at_all(
    gateway: GatewayProcess, routing_upstream: OpenAIUpstream
) -> None:
    sent = (ODD % "").replace('"model" : "routing"', f'"model" : "{ROUTING_MODEL}"').encode()
    assert gateway.call("POST", "/v1/chat/completions", sent).status == 200
    assert routing_upstream.posts[0].body == sent


def test_fields_that_nobody_knows_yet_survive_in_the_request(client: OpenAI, routing_upstream: OpenAIUpstream) -> None:
    extra = {"guided_choice": ["a", "b"], "priority": 3, "x_future": {"deep": [None, True]}}
    client.chat.completions.create(model="routing", messages=HELLO, extra_body=extra)
    body = routing_upstream.posts[0].json()
    assert {name: body[name] for name in extra} == extra


def test_fields_that_nobody_knows_yet_survive_in_the_answer(
    client: OpenAI, gateway: GatewayProcess, routing_upstream: OpenAIUpstream
) -> None:
    extra = {"x_future": {"deep": [None, True, "ü"]}, "prompt_logprobs": None}
    routing_upstream.default = Behaviour(extra=extra)
    answer = gateway.call("POST", "/v1/chat/completions", {"model": "routing", "messages": HELLO})
    assert answer.json()["x_future"] == extra["x_future"]
    assert "kv_transfer_params" in answer.json()
    assert answer.json()["model"] == ROUTING_MODEL
    chunks = list(client.chat.completions.create(model="routing", messages=HELLO, stream=True))
    for chunk in chunks:
        assert chunk.model_extra is not None
        assert chunk.model_extra["x_future"] == extra["x_future"]


def test_an_answers_headers_tell_of_the_gateway_and_not_of_the_endpoints_host(
    gateway: GatewayProcess,
) -> None:
    answer = gateway.call("POST", "/v1/chat/completions", {"model": "routing", "messages": HELLO})
    assert answer.headers.get("server") != "uvicorn"
    for name in ("x-request-id", "x-tiergate-tier", "x-tiergate-endpoint", "x-tiergate-reason"):
        assert answer.headers[name]
