"""Secrets that are planted wherever one may come from show up nowhere that somebody looks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import ROUTING_MODEL, tier, tier_map
from tests.acceptance.gateway_process import GatewayProcess, free_port
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.acceptance

KEY, ADMIN, ENDPOINT, PEPPER = (f"canary-{what}-8d1f03" for what in ("key", "admin", "endpoint", "pepper"))
HEADER, PROMPT, ARGUMENT, WRONG = (f"canary-{what}-8d1f03" for what in ("header", "prompt", "argument", "wrong"))
CANARY = "canary-"
ENVIRONMENT = {
    "TEST_KEY": KEY,
    "TEST_UPSTREAM_KEY": ENDPOINT,
    "TIERGATE_ADMIN_KEY": "env:THE_ADMIN_KEY",
    "THE_ADMIN_KEY": ADMIN,
    "TIERGATE_KEY_PEPPER": "env:THE_PEPPER",
    "THE_PEPPER": PEPPER,
}


@pytest.fixture
def gateway(tmp_path: Path, gateway_python: str) -> Iterator[GatewayProcess]:
    """With a tier that serves, and one whose endpoint is not there."""
    with OpenAIUpstream(models=(ROUTING_MODEL,), api_key=ENDPOINT).in_thread() as upstream:
        dead = tier(f"http://127.0.0.1:{free_port()}/v1", "org/dead")
        written = tier_map({"routing": tier(upstream.url, ROUTING_MODEL), "dead": dead})
        with GatewayProcess(tmp_path, written, key=KEY, python=gateway_python, environment=ENVIRONMENT) as running:
            yield running


def test_no_secret_shows_in_log_metrics_records_errors_or_audit(gateway: GatewayProcess) -> None:
    headers = {"x-private": HEADER, "cookie": f"session={HEADER}"}
    tools = [{"role": "tool", "tool_call_id": "1", "content": ARGUMENT}]
    seen: list[bytes] = []
    for model in ("routing", "dead", "unknown"):
        for key in (KEY, WRONG):
            body = {"model": model, "messages": [{"role": "user", "content": PROMPT}, *tools]}
            answer = gateway.call("POST", "/v1/chat/completions", body, key=key, headers=headers)
            assert answer.status == 200 or answer.code
            if answer.status != 200:
                seen.append(answer.body)
    seen.append(gateway.call("POST", "/v1/chat/completions", b'{"model": "' + PROMPT.encode(), headers=headers).body)
    made = gateway.call("POST", "/tiergate/v1/keys", {"name": "ci"}, key=ADMIN, headers=headers).json()
    gateway.call("POST", f"/tiergate/v1/keys/{made['id']}/rotate", key=ADMIN)
    seen.append(gateway.call("GET", "/tiergate/v1/keys", key=WRONG).body)
    for path in ("/tiergate/v1/keys", "/tiergate/v1/audit"):
        answer = gateway.call("GET", path, key=ADMIN)
        assert made["id"] in answer.body.decode()
        seen.append(answer.body)
    gateway.wait_until(lambda: len(gateway.events("request.ended")) >= 7)
    for path in ("/metrics", "/docs", "/openapi.json", "/readyz", "/tiergate/v1/requests", "/tiergate/v1/budgets"):
        seen.append(gateway.call("GET", path).body)  # noqa: PERF401 - each is a question
    text = b"\n".join([*seen, gateway.log_path.read_bytes()]).decode()
    assert "request.ended" in text
    assert CANARY not in text
    assert made["key"] not in text
