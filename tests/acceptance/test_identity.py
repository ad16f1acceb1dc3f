"""Who called: every call carries its agent, flow, run, step and task, and the gateway's records tell them."""

import time
from typing import Any
from urllib.parse import quote

import pytest
from openai import OpenAI

from tests.acceptance.conftest import KEY, UPSTREAM_KEY
from tests.acceptance.gateway_process import GatewayProcess
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.acceptance

HELLO: Any = [{"role": "user", "content": "hello"}]


def test_a_record_says_who_called_and_what_it_cost(client: OpenAI, gateway: GatewayProcess, run: str) -> None:
    identity = {"agent": "Prüfer 7", "flow": "Research", "step": "classify", "task": "sort the job"}
    headers = {f"x-tiergate-{name}": quote(value) for name, value in identity.items()}
    raw = client.chat.completions.with_raw_response.create(model="small", messages=HELLO, extra_headers=headers)
    record = gateway.record(run=run)
    assert {name: record[name] for name in identity} == identity
    assert record["request_id"] == raw.headers["x-request-id"]
    assert record["endpoint"] == raw.headers["x-tiergate-endpoint"]
    assert (record["key"], record["tier"], record["reason"]) == ("demo", "routing", "alias")
    assert (record["operation"], record["stream"], record["status"]) == ("chat", False, 200)
    assert (record["outcome"], record["error"], record["attempts"]) == ("ok", "", 1)
    usage = raw.parse().usage
    assert usage is not None
    assert (record["input_tokens"], record["output_tokens"]) == (
        usage.prompt_tokens,
        usage.completion_tokens,
    )
    assert record["cached_tokens"] == 4
    assert record["cost_microdollars"] == usage.prompt_tokens + 2 * usage.completion_tokens
    assert 0 <= record["queue_delay_seconds"] <= record["duration_seconds"]
    assert record["time_to_first_byte_seconds"] <= record["duration_seconds"]


def test_a_tier_on_a_gpu_costs_its_share_of_gpu_time(client: OpenAI, gateway: GatewayProcess, run: str) -> None:
    client.chat.completions.create(model="reasoning", messages=HELLO, extra_body={"behaviour": {"delay_seconds": 0.2}})
    record = gateway.record(run=run)
    assert record["gpu_seconds"] >= 0.2
    assert record["cost_microdollars"] > 0


def test_records_are_the_newest_first_and_limited(client: OpenAI, gateway: GatewayProcess, run: str) -> None:
    for step in ("one", "two", "three"):
        client.chat.completions.create(model="routing", messages=HELLO, extra_headers={"x-tiergate-step": step})
    gateway.wait_until(lambda: len(gateway.records(run=run)) == 3)
    assert {record["step"] for record in gateway.records(run=run)} == {"one", "two", "three"}
    limited = gateway.call("GET", f"/tiergate/v1/requests?run={run}&limit=2").json()
    assert limited["object"] == "list"
    assert len(limited["data"]) == 2
    assert "three" in {record["step"] for record in limited["data"]}


def test_the_endpoint_gets_its_own_key_and_nothing_of_the_callers(
    client: OpenAI, routing_upstream: OpenAIUpstream, reasoning_upstream: OpenAIUpstream
) -> None:
    headers = {"cookie": "session=1", "x-api-key": KEY, "x-tiergate-agent": "writer"}
    for model in ("routing", "reasoning"):
        client.chat.completions.create(model=model, messages=HELLO, extra_headers=headers)
    (routed,), (reasoned,) = routing_upstream.posts, reasoning_upstream.posts
    assert routed.header("authorization") == f"Bearer {UPSTREAM_KEY}"
    assert reasoned.header("authorization") is None
    for request in (routed, reasoned):
        assert KEY not in str(request.headers)
        assert KEY.encode() not in request.body
        assert request.header("cookie") is None
        assert request.header("x-tiergate-agent") is None


def test_no_secret_is_in_logs_records_or_metrics(client: OpenAI, gateway: GatewayProcess, run: str) -> None:
    client.chat.completions.create(model="routing", messages=[{"role": "user", "content": "canary-prompt-81c3"}])
    gateway.record(run=run)
    told = [gateway.log_path.read_text()]
    told += [
        gateway.call("GET", path).body.decode()
        for path in ("/metrics", "/tiergate/v1/requests", "/tiergate/v1/budgets", "/readyz", "/openapi.json")
    ]
    for text in told:
        for secret in (KEY, UPSTREAM_KEY, "canary-prompt-81c3"):
            assert secret not in text


def test_no_secret_and_no_prompt_shows_up_in_what_the_gateway_tells(gateway: GatewayProcess, run: str) -> None:
    """Not in its log, metrics, records or errors, whether the request was good, refused or unknown."""
    prompt = "canary-prompt-3b1f"
    wrong = "canary-wrong-key-91c4"
    body = {"model": "routing", "messages": [{"role": "user", "content": prompt}]}
    headers = {"x-tiergate-run": run}
    answers = [
        gateway.call("POST", "/v1/chat/completions", body, headers=headers),
        gateway.call("POST", "/v1/chat/completions", body | {"model": "no-such-tier"}, headers=headers),
        gateway.call("POST", "/v1/chat/completions", body, key=wrong),
    ]
    assert [answer.status for answer in answers] == [200, 404, 401]
    records = str(gateway.records(run=run))
    metrics = gateway.call("GET", "/metrics", key=None).body.decode()
    request_id = answers[-1].headers["x-request-id"]
    deadline = time.monotonic() + 5
    while request_id not in gateway.log_path.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    log = gateway.log_path.read_text()
    assert request_id in log
    told = [log, metrics, records, *(answer.body.decode() for answer in answers[1:])]
    for secret in (KEY, UPSTREAM_KEY, wrong, prompt):
        assert [secret in text for text in told] == [False] * len(told)
