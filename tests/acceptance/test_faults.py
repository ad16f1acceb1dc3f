"""Endpoints that fail and clients that leave: bounded, an explicit error, nothing held back, healthy after.

A broken answer is never made to look complete: no ``[DONE]``, no status of success for a whole answer. What is done
to mend it, by other tries, is in ``test_sixteen_faults.py``; here there is one try.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.acceptance.conftest import ENVIRONMENT, KEY, ROUTING_MODEL, UPSTREAM_KEY, tier, tier_map
from tests.acceptance.gateway_process import GatewayProcess
from tests.doubles.openai_behaviour import ERROR_IN_200, HTML_IN_200, Behaviour
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.acceptance

HELLO: Any = [{"role": "user", "content": "hello"}]
BOUND_SECONDS = 4.0
"""The tier gives up after one second of silence; the rest is for a machine with other work."""
PROMPT_PRICE, ANSWER_PRICE = 1, 2
CLIENT = """
import http.client, json, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
connection.request("POST", "/v1/chat/completions", sys.argv[2], json.loads(sys.argv[3]))
response = connection.getresponse()
while line := response.readline():
    print(line.decode(), end="", flush=True)
"""
"""A client process that prints what it reads, to be killed."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[OpenAIUpstream]:
    with OpenAIUpstream(models=(ROUTING_MODEL,), api_key=UPSTREAM_KEY).in_thread() as running:
        yield running


@pytest.fixture(scope="module")
def impatient_gateway(
    tmp_path_factory: pytest.TempPathFactory, gateway_python: str, upstream: OpenAIUpstream
) -> Iterator[GatewayProcess]:
    """A gateway whose only tier gives up after a second of silence; two slots show a leak soon."""
    timeouts = {"connect": "1s", "headers": "1s", "idle": "1s", "total": "20s"}
    once: Any = {"retry": {"attempts": 1}, "breaker": {"failures": 100}}
    tiers = {"quick": tier(upstream.url, ROUTING_MODEL, slots=2, timeouts=timeouts, **once)}
    budgets = [
        {"name": "money", "owner": {"run": "*"}, "limit": "1 USD", "window": "30d"},
        {"name": "tokens", "owner": {"run": "*"}, "limit": "1M tokens", "window": "30d"},
    ]
    with GatewayProcess(
        tmp_path_factory.mktemp("impatient"),
        tier_map(tiers, budgets=budgets),
        key=KEY,
        python=gateway_python,
        environment=ENVIRONMENT,
    ) as running:
        yield running


@pytest.fixture
def gateway(impatient_gateway: GatewayProcess, upstream: OpenAIUpstream) -> Iterator[GatewayProcess]:
    """Every test here ends with a healthy answer from the same gateway."""
    upstream.forget()
    yield impatient_gateway
    upstream.forget()
    for _ in range(3):
        answer = impatient_gateway.call("POST", "/v1/chat/completions", {"model": "quick", "messages": HELLO})
        assert answer.status == 200


def ask(gateway: GatewayProcess, run: str, *, stream: bool) -> tuple[int, str]:
    """Ask within the bound; returns status and body."""
    body = {"model": "quick", "messages": HELLO, "stream": stream}
    started = time.monotonic()
    answer = gateway.call("POST", "/v1/chat/completions", body, headers={"x-tiergate-run": run})
    assert time.monotonic() - started < BOUND_SECONDS
    return answer.status, answer.body.decode()


def settled_as_recorded(gateway: GatewayProcess, run: str) -> dict[str, Any]:
    """The run's only record, whose cost and tokens are what the budgets say; nothing is held back."""
    record = gateway.record(run=run)
    money = gateway.nothing_held("money", owner=run)
    tokens = gateway.nothing_held("tokens", owner=run)
    assert money["settled"] == record["cost_microdollars"]
    assert tokens["settled"] == record["input_tokens"] + record["output_tokens"]
    assert record["cost_microdollars"] == record["input_tokens"] * PROMPT_PRICE + record["output_tokens"] * ANSWER_PRICE
    return record


def waiting(gateway: GatewayProcess) -> float:
    """How many requests wait for a slot, by the metric."""
    text = gateway.call("GET", "/metrics", key=None).body.decode()
    name = 'tiergate_queue_length{tier="quick"} '
    return next(float(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name))


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (Behaviour(stall_after=3, pace_seconds=0.05), "upstream_timeout"),
        (Behaviour(cut_after=3, pace_seconds=0.05), "upstream_failed"),
        (Behaviour(reset_after=3, pace_seconds=0.05), "upstream_failed"),
        (Behaviour(garble_at=3, pace_seconds=0.05), "upstream_failed"),
    ],
    ids=["stalled", "cut", "reset", "garbled"],
)  # paced, so that the answer has begun when it breaks: what breaks in its first bytes may still go elsewhere
def test_a_stream_that_breaks_ends_with_an_error_event_and_is_charged_for_what_was_said(
    gateway: GatewayProcess, upstream: OpenAIUpstream, run: str, behaviour: Behaviour, code: str
) -> None:
    upstream.script(behaviour)
    status, text = ask(gateway, run, stream=True)
    assert status == 200
    assert "[DONE]" not in text
    *events, last, empty = text.split("\n\n")
    assert empty == ""
    assert json.loads(last.removeprefix("event: error\ndata: "))["error"]["code"] == code
    said = [json.loads(event.removeprefix("data: "))["choices"][0]["delta"]["content"] for event in events]
    assert "".join(said) in "Grüße 🙂 from"
    record = settled_as_recorded(gateway, run)
    assert record["outcome"] in {"timeout", "upstream_error"}
    assert record["error"] == code
    assert record["input_tokens"] > 0
    assert len([piece for piece in said if piece]) <= record["output_tokens"] <= 20


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(stall_after=3, pace_seconds=0.02),
        Behaviour(cut_after=3, pace_seconds=0.02),
        Behaviour(reset_after=3, pace_seconds=0.02),
        Behaviour(garble_at=3, pace_seconds=0.02),
    ],
    ids=["stalled", "cut", "reset", "garbled"],
)
def test_the_sdk_raises_on_a_stream_that_breaks(
    gateway: GatewayProcess, upstream: OpenAIUpstream, behaviour: Behaviour
) -> None:
    """After the first byte there is no second try: the words would come twice."""
    upstream.script(behaviour)
    with OpenAI(base_url=gateway.url, api_key=KEY) as client:
        stream = client.chat.completions.create(model="quick", messages=HELLO, stream=True)
        with pytest.raises(openai.APIError):
            list(stream)
    assert len(upstream.posts) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_an_endpoint_that_stays_silent_is_given_up(
    gateway: GatewayProcess, upstream: OpenAIUpstream, run: str, stream: bool
) -> None:
    upstream.script(Behaviour(silent=True))
    status, text = ask(gateway, run, stream=stream)
    assert (status, json.loads(text)["error"]["code"]) == (504, "upstream_timeout")
    upstream.wait_until(lambda: upstream.posts[0].closed_early, seconds=1)
    record = settled_as_recorded(gateway, run)
    assert (record["outcome"], record["output_tokens"]) == ("timeout", 0)


@pytest.mark.parametrize(
    ("behaviour", "status", "code"),
    [
        (Behaviour(stall_after=0), 504, "upstream_timeout"),
        (Behaviour(cut_after=0), 502, "upstream_failed"),
        (Behaviour(reset_after=0), 502, "upstream_failed"),
        (Behaviour(garble_at=0), 502, "upstream_failed"),
        (ERROR_IN_200, 502, "upstream_failed"),
        (HTML_IN_200, 502, "upstream_failed"),
        (Behaviour(body=b""), 502, "upstream_failed"),
    ],
    ids=["stalled", "cut", "reset", "garbled", "error-in-200", "html", "empty"],
)
def test_a_whole_answer_that_breaks_is_an_error(
    *,
    gateway: GatewayProcess,
    upstream: OpenAIUpstream,
    run: str,
    behaviour: Behaviour,
    status: int,
    code: str,
) -> None:
    upstream.script(behaviour)
    seen, text = ask(gateway, run, stream=False)
    assert (seen, json.loads(text)["error"]["code"]) == (status, code)
    assert settled_as_recorded(gateway, run)["error"] == code


def test_a_connection_that_is_reset_before_its_answer_is_an_error(
    gateway: GatewayProcess, upstream: OpenAIUpstream, run: str
) -> None:
    """Twice: the first may have been a kept connection that just closed, which is tried once more on a new one."""
    upstream.script(*[Behaviour(reset_at_once=True)] * 2)
    status, text = ask(gateway, run, stream=False)
    assert (status, json.loads(text)["error"]["code"]) == (502, "upstream_failed")
    assert settled_as_recorded(gateway, run)["output_tokens"] == 0


def test_a_kept_connection_that_closes_under_a_request_is_replaced(
    gateway: GatewayProcess, upstream: OpenAIUpstream, run: str
) -> None:
    assert ask(gateway, run, stream=False)[0] == 200
    upstream.script(Behaviour(reset_at_once=True))
    assert ask(gateway, f"{run}-again", stream=False)[0] == 200
    assert len(upstream.posts) == 3
    assert settled_as_recorded(gateway, f"{run}-again")["output_tokens"] == 9


@pytest.mark.parametrize("behaviour", [ERROR_IN_200, HTML_IN_200], ids=["error-in-200", "html"])
def test_a_stream_that_is_answered_with_something_else_is_an_error_before_its_first_byte(
    gateway: GatewayProcess, upstream: OpenAIUpstream, run: str, behaviour: Behaviour
) -> None:
    upstream.script(behaviour)
    status, text = ask(gateway, run, stream=True)
    assert (status, json.loads(text)["error"]["code"]) == (502, "upstream_failed")
    assert settled_as_recorded(gateway, run)["output_tokens"] == 0


def test_a_missing_done_is_no_reason_to_wait_or_to_lose_the_usage(
    gateway: GatewayProcess, upstream: OpenAIUpstream, run: str
) -> None:
    upstream.script(Behaviour(done=False))
    status, text = ask(gateway, run, stream=True)
    assert status == 200
    assert '"finish_reason":"stop"' in text
    record = settled_as_recorded(gateway, run)
    assert (record["usage_reported"], record["output_tokens"]) == (True, 9)


def test_slow_tokens_are_no_fault(gateway: GatewayProcess, upstream: OpenAIUpstream, run: str) -> None:
    """Each wait is below the tier's idle timeout, their sum is above it."""
    upstream.script(Behaviour(tokens=6, pace_seconds=0.3))
    status, text = ask(gateway, run, stream=True)
    assert status == 200
    assert text.endswith("data: [DONE]\n\n")
    assert settled_as_recorded(gateway, run)["outcome"] == "ok"


def test_a_client_that_is_killed_stops_the_endpoint_and_pays_for_what_was_generated(
    gateway: GatewayProcess, upstream: OpenAIUpstream, run: str
) -> None:
    upstream.script(Behaviour(text="word", tokens=400, pace_seconds=0.02))
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json", "x-tiergate-run": run}
    body = json.dumps({"model": "quick", "messages": HELLO, "stream": True, "max_tokens": 400})
    with subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(gateway.port), body, json.dumps(headers)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        seen = 0
        while seen < 20:
            seen += process.stdout.readline().startswith(b"data: ")
        process.kill()
        killed_at = time.monotonic()
    upstream.wait_until(lambda: upstream.posts[0].ended_at is not None)
    request = upstream.posts[0]
    assert request.closed_early
    assert request.closed_at is not None
    assert request.closed_at - killed_at < 1.0
    record = settled_as_recorded(gateway, run)
    assert (record["outcome"], record["status"]) == ("disconnected", 499)
    assert record["usage_reported"] is False
    assert 15 <= record["output_tokens"] <= 1.5 * request.tokens_sent


def test_a_client_that_leaves_before_the_first_byte_stops_the_endpoint_too(
    gateway: GatewayProcess, upstream: OpenAIUpstream, run: str
) -> None:
    upstream.script(Behaviour(delay_seconds=0.9))
    body = json.dumps({"model": "quick", "messages": HELLO})
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json", "x-tiergate-run": run}
    with gateway.connection() as connection:
        connection.request("POST", "/v1/chat/completions", body, headers)
        upstream.wait_until(lambda: len(upstream.posts) == 1)
    upstream.wait_until(lambda: upstream.posts[0].closed_early, seconds=0.8)
    assert settled_as_recorded(gateway, run)["outcome"] == "disconnected"


def test_a_client_that_leaves_while_it_waits_for_a_slot_costs_nothing(
    gateway: GatewayProcess, upstream: OpenAIUpstream, run: str
) -> None:
    upstream.script(*[Behaviour(tokens=8, pace_seconds=0.1)] * 2)
    body = json.dumps({"model": "quick", "messages": HELLO, "stream": True})
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    with gateway.connection() as one, gateway.connection() as two:
        for number, busy in enumerate((one, two), start=1):
            busy.request("POST", "/v1/chat/completions", body, headers)
            upstream.wait_until(lambda number=number: len(upstream.posts) == number)  # type: ignore[misc]
        with gateway.connection() as leaver:
            leaver.request("POST", "/v1/chat/completions", body, {**headers, "x-tiergate-run": run})
            gateway.wait_until(lambda: waiting(gateway) == 1)
        record = gateway.record(run=run)
        assert (record["outcome"], record["cost_microdollars"]) == ("disconnected", 0)
        for busy in (one, two):
            assert busy.getresponse().read().endswith(b"data: [DONE]\n\n")
    assert len(upstream.posts) == 2
