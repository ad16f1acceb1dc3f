"""Secrets that are planted wherever one may come from show up nowhere that somebody looks."""

import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import ROUTING_MODEL, tier, tier_map
from tests.acceptance.gateway_process import GatewayProcess, free_port
from tests.acceptance.store_process import StoreProcess
from tests.doubles.openai_behaviour import Behaviour
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.acceptance

KEY, ADMIN, ENDPOINT, PEPPER = (f"canary-{what}-8d1f03" for what in ("key", "admin", "endpoint", "pepper"))
HEADER, PROMPT, ARGUMENT, WRONG = (f"canary-{what}-8d1f03" for what in ("header", "prompt", "argument", "wrong"))
ANSWER, PASSWORD, WEBHOOK, QUERY = (f"canary-{what}-8d1f03" for what in ("answer", "password", "webhook", "query"))
CANARY = "canary-"
ENVIRONMENT = {
    "TEST_KEY": KEY,
    "TEST_UPSTREAM_KEY": ENDPOINT,
    "TIERGATE_ADMIN_KEY": "env:THE_ADMIN_KEY",
    "THE_ADMIN_KEY": ADMIN,
    "TIERGATE_KEY_PEPPER": "env:THE_PEPPER",
    "THE_PEPPER": PEPPER,
    "THE_WEBHOOK": f"http://127.0.0.1:{free_port()}/{WEBHOOK}",
}
HEADERS = {"x-private": HEADER, "cookie": f"session={HEADER}", "x-api-key": HEADER, "tracestate": f"a={HEADER}"}
TOOL = {"type": "function", "function": {"name": "f", "description": ARGUMENT, "parameters": {"type": "object"}}}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": f'{{"x":"{ARGUMENT}"}}'}}


@pytest.fixture
def upstream() -> Iterator[OpenAIUpstream]:
    """Its answers are secrets, too."""
    default = Behaviour(text=f"the word is {ANSWER}")
    with OpenAIUpstream(models=(ROUTING_MODEL,), api_key=ENDPOINT, default=default).in_thread() as running:
        yield running


@pytest.fixture
def gateway(tmp_path: Path, gateway_python: str, upstream: OpenAIUpstream) -> Iterator[GatewayProcess]:
    """With a tier that serves, one whose endpoint is not there, a store with a password and a secret webhook."""
    dead = tier(f"http://127.0.0.1:{free_port()}/v1", "org/dead")
    alerts = {"at": ["1%"], "webhook": "env:THE_WEBHOOK"}
    budgets = [
        {"name": "few", "owner": {"agent": "spent"}, "limit": "2 requests", "window": "30d", "alerts": alerts},
    ]
    with StoreProcess(PASSWORD) as store:
        store.start()
        tiers = {"routing": tier(upstream.url, ROUTING_MODEL, breaker={"failures": 100}), "dead": dead}
        written = tier_map(tiers, store=store.url, budgets=budgets)
        with GatewayProcess(tmp_path, written, key=KEY, python=gateway_python, environment=ENVIRONMENT) as running:
            yield running


def bodies() -> Iterator[dict[str, Any]]:
    """Prompts, tools and their calls; whole and streamed; served, failed and unknown."""
    asked = [
        {"role": "user", "content": PROMPT},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c", "content": ARGUMENT},
    ]
    for model in ("routing", "dead", "unknown"):
        for stream in (False, True):
            yield {"model": model, "messages": asked, "tools": [TOOL], "user": HEADER, "stream": stream}


def test_no_secret_shows_in_log_metrics_records_errors_audit_or_on_disk(
    gateway: GatewayProcess, upstream: OpenAIUpstream, tmp_path: Path
) -> None:
    """Neither of keys, headers, prompts, tools and answers, nor the operator's own."""
    seen: list[bytes] = []
    for body in bodies():
        for key in (KEY, WRONG):
            answer = gateway.call("POST", "/v1/chat/completions", body, key=key, headers=HEADERS)
            if answer.status != http.client.OK:
                assert answer.code
                seen.append(answer.body)
    for behaviour in (Behaviour(stall_after=2), Behaviour(cut_after=2), Behaviour(garble_at=1), Behaviour(status=500)):
        upstream.script(behaviour)
        body = {"model": "routing", "messages": [{"role": "user", "content": PROMPT}], "stream": True}
        gateway.call("POST", "/v1/chat/completions", body, headers=HEADERS)
    for _ in range(3):
        body = {"model": "routing", "messages": [{"role": "user", "content": PROMPT}]}
        answer = gateway.call("POST", "/v1/chat/completions", body, headers={**HEADERS, "x-tiergate-agent": "spent"})
    assert answer.code == "budget_exhausted"
    seen.append(answer.body)
    seen.append(gateway.call("POST", "/v1/chat/completions", b'{"model": "' + PROMPT.encode(), headers=HEADERS).body)
    for path in (f"/v1/models?key={QUERY}", "/v1/models/none", "/tiergate/v1/usage"):
        seen.append(gateway.call("GET", path, headers=HEADERS).body)  # noqa: PERF401 - each is a question
    made = gateway.call("POST", "/tiergate/v1/keys", {"name": "ci"}, key=ADMIN, headers=HEADERS).json()
    again = gateway.call("POST", f"/tiergate/v1/keys/{made['id']}/rotate", key=ADMIN).json()
    seen.append(gateway.call("GET", "/tiergate/v1/keys", key=WRONG).body)
    for path in ("/tiergate/v1/keys", "/tiergate/v1/audit"):
        answer = gateway.call("GET", path, key=ADMIN)
        assert made["id"] in answer.body.decode()
        seen.append(answer.body)
    gateway.wait_until(lambda: len(gateway.events("request.ended")) >= 17)
    gateway.wait_until(lambda: bool(gateway.events("alert.failed")), seconds=15)
    for path in (
        "/metrics", "/docs", "/openapi.json", "/readyz", "/tiergate/v1/requests", "/tiergate/v1/budgets",
        "/tiergate/v1/budgets/few", "/tiergate/v1/tiers",
    ):  # fmt: skip
        seen.append(gateway.call("GET", path).body)  # noqa: PERF401 - each is a question
    seen += [file.read_bytes() for file in (tmp_path / "state").rglob("*") if file.is_file()]
    text = b"\n".join([*seen, gateway.log_path.read_bytes()]).decode(errors="replace")
    assert "request.ended" in text
    assert CANARY not in text, text[max(0, text.index(CANARY) - 300) :][:600]
    assert made["key"] not in text
    assert again["key"] not in text
