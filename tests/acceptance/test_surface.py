"""The gateway's other routes and odd requests, by plain HTTP."""

import json
import re
from typing import Any

import pytest
from openai import OpenAI

from tests.acceptance.gateway_process import GatewayProcess
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.acceptance

HELLO: Any = [{"role": "user", "content": "hello"}]
SERIES = (
    "gen_ai_client_token_usage",
    "gen_ai_server_request_duration_seconds",
    "gen_ai_server_time_to_first_token_seconds",
    "gen_ai_server_time_per_output_token_seconds",
    "tiergate_queue_delay_seconds",
    "tiergate_overhead_seconds",
)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/audio/speech"),
        ("POST", "/v1/load_lora_adapter"),
        ("POST", "/v1/chat/completions/"),
        ("POST", "/v1//chat/completions"),
        ("POST", "/V1/chat/completions"),
        ("GET", "/v1/chat/completions"),
        ("DELETE", "/v1/models/routing"),
        ("POST", "/sleep"),
        ("GET", "/nothing-here"),
    ],
)
def test_what_is_not_metered_is_not_served(
    gateway: GatewayProcess, routing_upstream: OpenAIUpstream, method: str, path: str
) -> None:
    body = {"model": "routing", "messages": HELLO} if method == "POST" else None
    answer = gateway.call(method, path, body)
    assert (answer.status, answer.code) == (404, "route_not_served")
    assert routing_upstream.requests == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b'{"model": 3}',
        b'{"messages": []}',
        b'{"model": "routing", "model": "reasoning", "messages": []}',
        b'{"model": "routing", "stream": "yes", "messages": []}',
        b'{"model": "routing", "max_tokens": -1, "messages": []}',
        b'{"model": "rout\xff\xfeing"}',
    ],
)
def test_a_body_that_cannot_be_read_is_400_in_openais_form(
    gateway: GatewayProcess, routing_upstream: OpenAIUpstream, body: bytes
) -> None:
    answer = gateway.call("POST", "/v1/chat/completions", body)
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["x-request-id"]
    assert routing_upstream.posts == []


def test_a_body_over_the_limit_is_413_and_is_not_read_to_its_end(gateway: GatewayProcess) -> None:
    """A length that is declared is refused before the bytes are sent."""
    with gateway.connection(seconds=10) as connection:
        connection.putrequest("POST", "/v1/chat/completions")
        connection.putheader("authorization", f"Bearer {gateway.key}")
        connection.putheader("content-type", "application/json")
        connection.putheader("content-length", str(10 * 1024**3))
        connection.endheaders(b'{"model": "routing"')
        response = connection.getresponse()
        assert response.status == 413
        assert json.loads(response.read())["error"]["code"] == "body_too_large"


def test_a_body_in_chunks_over_the_limit_is_413_too(gateway: GatewayProcess) -> None:
    """Without a declared length the bytes are counted as they come."""
    status = None
    with gateway.connection(seconds=30) as connection:
        connection.putrequest("POST", "/v1/chat/completions")
        connection.putheader("authorization", f"Bearer {gateway.key}")
        connection.putheader("transfer-encoding", "chunked")
        connection.endheaders()
        try:
            for _ in range(512):
                connection.send(b"100000\r\n" + b" " * 0x100000 + b"\r\n")
            connection.send(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused while we were still sending
        try:
            status = connection.getresponse().status
        except ConnectionResetError:
            status = 413  # its answer was lost with the connection: sent bytes were refused all the same
    assert status == 413
    assert gateway.ready()


def test_liveness_and_readiness_need_no_key(gateway: GatewayProcess) -> None:
    for path in ("/healthz", "/readyz"):
        assert gateway.call("GET", path, key=None).status == 200


def test_the_documentation_lists_every_route(gateway: GatewayProcess) -> None:
    docs = gateway.call("GET", "/docs", key=None)
    assert docs.status == 200
    assert docs.headers["content-type"].startswith("text/html")
    paths = gateway.call("GET", "/openapi.json", key=None).json()["paths"]
    assert {
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/messages",
        "/v1/models",
        "/v1/rerank",
        "/v1/responses",
        "/tiergate/v1/budgets",
        "/tiergate/v1/requests",
        "/tokenize",
    } <= set(paths)


def test_metrics_count_requests_tokens_and_cost_by_tier(gateway: GatewayProcess, client: OpenAI, run: str) -> None:
    client.chat.completions.create(model="routing", messages=HELLO)
    list(client.chat.completions.create(model="routing", messages=HELLO, stream=True))
    gateway.wait_until(lambda: len(gateway.records(run=run)) == 2)
    text = gateway.call("GET", "/metrics", key=None).body.decode()
    for name in SERIES:
        assert re.search(rf'^{name}_count{{.*tier="routing".*}} [1-9]', text, re.MULTILINE), name
    cost = re.search(r'^tiergate_cost_usd_total{.*tier="routing".*} (.+)$', text, re.MULTILINE)
    assert cost is not None
    assert float(cost[1]) > 0
    for label in (gateway.key, run, "hello", "http://"):
        assert label not in re.sub(r"^#.*$", "", text, flags=re.MULTILINE)


def test_one_canonical_log_line_tells_a_request(gateway: GatewayProcess, client: OpenAI, run: str) -> None:
    raw = client.chat.completions.with_raw_response.create(model="routing", messages=HELLO)
    request_id = raw.headers["x-request-id"]
    gateway.record(run=run)
    gateway.wait_until(lambda: request_id in gateway.log())
    lines = [line for line in gateway.log().splitlines() if request_id in line]
    assert len(lines) == 1
    told: dict[str, Any] = json.loads(lines[0])
    assert told["tier"] == "routing"
    assert told["outcome"] == "ok"
    assert told["run"] == run


def test_one_connection_serves_many_requests(gateway: GatewayProcess) -> None:
    body = json.dumps({"model": "routing", "messages": HELLO})
    headers = {"authorization": f"Bearer {gateway.key}", "content-type": "application/json"}
    with gateway.connection() as connection:
        for _ in range(3):
            connection.request("POST", "/v1/chat/completions", body, headers)
            socket = connection.sock
            response = connection.getresponse()
            assert json.loads(response.read())["choices"]
            assert connection.sock is socket
