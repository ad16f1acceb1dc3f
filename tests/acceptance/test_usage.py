"""What was used, as the command, the API and the balances say, to the microdollar."""

import csv
import http.client
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import ENVIRONMENT, KEY, ROUTING_MODEL, UPSTREAM_KEY, tier, tier_map
from tests.acceptance.gateway_process import GatewayProcess
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.acceptance

ADMIN_KEY = "the-admins-own-key-7a90"
DEAR_MODEL = "org/dear"
CALLS = (("writer", "routing"), ("writer", "routing"), ("writer", "dear"), ("critic", "dear"))
"""Who calls which tier, and is served; after that the critic has no request left."""
BUDGETS = (
    {"name": "money", "owner": {"agent": "*"}, "limit": "100 USD", "window": "1d"},
    {"name": "few", "owner": {"agent": "critic"}, "limit": "1 requests", "window": "1d", "spent": "reject"},
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, gateway_python: str) -> Iterator[GatewayProcess]:
    """A gateway on its embedded Valkey that has served ``CALLS`` and refused one more."""
    environment = ENVIRONMENT | {"TIERGATE_ADMIN_KEY": "env:THE_ADMIN_KEY", "THE_ADMIN_KEY": ADMIN_KEY}
    models = (ROUTING_MODEL, DEAR_MODEL)
    with OpenAIUpstream(models=models, api_key=UPSTREAM_KEY).in_thread() as upstream:
        tiers = {
            "routing": tier(upstream.url, ROUTING_MODEL),
            "dear": tier(upstream.url, DEAR_MODEL, price={"input": 30, "output": 70}),
        }
        directory, written = tmp_path_factory.mktemp("gateway"), tier_map(tiers, budgets=BUDGETS)
        with GatewayProcess(directory, written, key=KEY, python=gateway_python, environment=environment) as made:
            for agent, model in CALLS:
                assert ask(made, agent, model) == http.client.OK
            assert ask(made, "critic", "dear") == http.client.PAYMENT_REQUIRED
            yield made


def ask(gateway: GatewayProcess, agent: str, model: str) -> int:
    """The status of one request for an answer."""
    body = {"model": model, "messages": [{"role": "user", "content": f"hello from {agent}"}]}
    return gateway.call("POST", "/v1/chat/completions", body, headers={"x-tiergate-agent": agent}).status


def told(gateway: GatewayProcess, python: str, *words: str) -> str:
    """What the command prints, as an operator runs it."""
    origin = gateway.url.removesuffix("/v1")
    command = [python, "-m", "gateway", *words, "--gateway", origin, "--gateway-key", "env:THE_ADMIN_KEY"]
    environment = os.environ | {"THE_ADMIN_KEY": ADMIN_KEY}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=30, check=False, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def usage(gateway: GatewayProcess, query: str, key: str = KEY) -> list[dict[str, Any]]:
    """The groups as the API answers."""
    answer = gateway.call("GET", f"/tiergate/v1/usage?{query}", key=key)
    assert answer.status == http.client.OK, answer
    rows: list[dict[str, Any]] = answer.json()["data"]
    return rows


def test_command_and_api_agree_with_the_balances(gateway: GatewayProcess, gateway_python: str) -> None:
    """Agent by agent, to the microdollar; the refused request is counted and costs nothing."""
    words = ("usage", "--by", "agent,tier", "--since", "1h")
    rows = usage(gateway, "by=agent,tier&since=1h")
    assert [
        json.loads(line) for line in told(gateway, gateway_python, *words, "--format", "jsonl").splitlines()
    ] == rows
    read = list(csv.DictReader(told(gateway, gateway_python, *words, "--format", "csv").splitlines()))
    assert [int(row["cost_microdollars"]) for row in read] == [row["cost_microdollars"] for row in rows]
    served = {(row["agent"], row["tier"]): row["requests"] - row["refused"] for row in rows}
    assert {pair: count for pair, count in served.items() if count} == {pair: CALLS.count(pair) for pair in CALLS}
    assert sum(row["refused"] for row in rows) == 1
    balances = gateway.call("GET", "/tiergate/v1/budgets").json()["data"]
    settled = {each["owner"]: each["settled"] for each in balances if each["budget"] == "money"}
    by_agent = {row["agent"]: row["cost_microdollars"] for row in usage(gateway, "by=agent&since=1h", key=ADMIN_KEY)}
    assert by_agent == settled
    assert min(settled.values()) > 0


def test_a_budget_tells_whom_it_refused(gateway: GatewayProcess, gateway_python: str) -> None:
    """The command prints what the API answers."""
    answer = gateway.call("GET", "/tiergate/v1/budgets/few").json()
    printed = json.loads(told(gateway, gateway_python, "budget", "explain", "few", "--format", "json"))
    assert printed["refusals"] == answer["refusals"]
    assert answer["refusals"][0]["request_id"] in told(gateway, gateway_python, "budget", "explain", "few")
    [refusal] = answer["refusals"]
    assert (refusal["agent"], refusal["outcome"], refusal["refused_by"]) == ("critic", "budget_exhausted", "few")
    [budget] = answer["data"]
    [owner] = budget["owners"]
    assert (owner["owner"], owner["settled"], owner["held"], owner["available"]) == ("critic", 1, 0, 0)
