"""Errors as the official SDK sees them: the right class, a stable code, and no more tries than make sense."""

import json
import time
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.acceptance.gateway_process import GatewayProcess
from tests.doubles.openai_behaviour import Behaviour
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.acceptance

HELLO: Any = [{"role": "user", "content": "hello"}]


def test_an_unknown_key_is_an_authentication_error(client: OpenAI, routing_upstream: OpenAIUpstream) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        client.with_options(api_key="tg-wrong-key").chat.completions.create(model="routing", messages=HELLO)
    assert caught.value.code == "invalid_api_key"
    assert "tg-wrong-key" not in str(caught.value)
    assert routing_upstream.posts == []


def test_no_key_is_refused_on_every_route_that_costs_or_tells(gateway: GatewayProcess) -> None:
    body = {"model": "routing", "messages": HELLO}
    for method, path, sent in (
        ("POST", "/v1/chat/completions", body),
        ("GET", "/v1/models", None),
        ("GET", "/tiergate/v1/requests", None),
        ("GET", "/tiergate/v1/budgets", None),
    ):
        answer = gateway.call(method, path, sent, key=None)
        assert (answer.status, answer.code) == (401, "invalid_api_key"), path


def test_an_unknown_model_is_not_found_and_the_error_names_those_there_are(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="routing") as caught:
        client.chat.completions.create(model="no-such-model", messages=HELLO)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_spent_budget_is_402_and_costs_exactly_one_request(
    client: OpenAI, gateway: GatewayProcess, routing_upstream: OpenAIUpstream, run: str
) -> None:
    """The SDK tries most failures three times; this one is not worth a second."""
    headers = {"x-tiergate-agent": f"pauper-{run}"}
    client.chat.completions.create(model="routing", messages=HELLO, extra_headers=headers)
    gateway.record(run=run)
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="routing", messages=HELLO, extra_headers=headers)
    assert (caught.value.status_code, caught.value.code) == (402, "budget_exhausted")
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert "paupers" in caught.value.message
    gateway.wait_until(lambda: len(gateway.records(run=run)) >= 2)
    assert sorted(record["status"] for record in gateway.records(run=run)) == [200, 402]
    assert len(routing_upstream.posts) == 1


def test_a_saturated_tier_is_503_and_says_when_to_come_back(
    client: OpenAI, gateway: GatewayProcess, routing_upstream: OpenAIUpstream, run: str
) -> None:
    routing_upstream.script(Behaviour(stall_after=1))
    body = {"model": "one-slot", "messages": HELLO, "stream": True}
    with gateway.connection() as busy:
        headers = {"authorization": f"Bearer {gateway.key}", "content-type": "application/json"}
        busy.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        with busy.getresponse() as response:
            assert response.status == 200
            with pytest.raises(openai.InternalServerError) as caught:
                client.with_options(max_retries=0).chat.completions.create(model="one-slot", messages=HELLO)
    assert (caught.value.status_code, caught.value.code) == (503, "tier_saturated")
    assert int(caught.value.response.headers["retry-after"]) >= 1
    assert "x-should-retry" not in caught.value.response.headers
    record = gateway.record(run=run)
    assert (record["outcome"], record["attempts"]) == ("shed", 1)
    assert record["queue_delay_seconds"] == pytest.approx(0.2, abs=0.15)
    again = client.chat.completions.create(model="one-slot", messages=HELLO)
    assert again.choices[0].message.content


def test_the_sdk_waits_as_told_and_succeeds(client: OpenAI, routing_upstream: OpenAIUpstream) -> None:
    """An endpoint's 503 with ``retry-after`` becomes the gateway's, and the SDK's own retry obeys it."""
    routing_upstream.script(*[Behaviour(status=503, retry_after="1")] * 2)
    started = time.monotonic()
    answer = client.chat.completions.create(model="routing", messages=HELLO)
    assert answer.choices[0].message.content
    assert time.monotonic() - started < 10


def test_what_the_endpoint_says_to_a_bad_request_reaches_the_caller(
    client: OpenAI, gateway: GatewayProcess, run: str
) -> None:
    with pytest.raises(openai.BadRequestError, match="null"):
        client.post(
            "/embeddings",
            body={"model": "routing", "input": "a", "encoding_format": None},
            cast_to=dict[str, Any],
        )
    record = gateway.record(run=run)
    assert (record["status"], record["outcome"], record["attempts"]) == (400, "client_error", 1)


@pytest.mark.parametrize("message", ["Rate limit reached, too many requests", "context length exceeded", "plain"])
def test_no_error_of_ours_uses_words_that_make_agents_try_again(
    client: OpenAI, routing_upstream: OpenAIUpstream, message: str
) -> None:
    """CrewAI tries again on such words in any message, so an endpoint's 5xx may not smuggle them in."""
    body = json.dumps({"error": {"message": message, "type": "ServerError", "code": 500}}).encode()
    routing_upstream.default = Behaviour(status=500, body=body)
    with pytest.raises(openai.InternalServerError) as caught:
        client.with_options(max_retries=0).chat.completions.create(model="routing", messages=HELLO)
    assert "rate limit" not in str(caught.value).lower()
    assert "too many requests" not in str(caught.value).lower()
    assert "context length exceeded" not in str(caught.value).lower()


def test_an_endpoint_that_refuses_our_key_is_our_fault_and_not_worth_a_retry(
    client: OpenAI, routing_upstream: OpenAIUpstream
) -> None:
    routing_upstream.script(Behaviour(status=401))
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="routing", messages=HELLO)
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_refused")
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert len(routing_upstream.posts) == 1
