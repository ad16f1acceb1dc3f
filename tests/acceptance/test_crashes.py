"""A gateway is killed while an answer runs: nothing that it had stays taken, and what it may have cost is charged."""

import json
from typing import Any

import pytest

from tests.acceptance.conftest import ROUTING_MODEL, UPSTREAM_KEY, StartGateway, tier, tier_map
from tests.acceptance.store_process import StoreProcess
from tests.doubles.openai_behaviour import Behaviour
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.acceptance

LEASE_SECONDS = 1
TOTAL_SECONDS = 4
EXPIRED_SECONDS = 60.0
"""For the life of the reservation to end (the request's deadline, its wait in the queue and 15 s), and a sweep."""
ANSWER_TOKENS = 50
BODY: Any = {"model": "routing", "messages": [{"role": "user", "content": "hello"}], "max_tokens": ANSWER_TOKENS}


def test_what_a_killed_gateway_held_expires_and_is_charged(start_gateway: StartGateway) -> None:
    """Its slot is another process's after the lease; its reservation is charged in full at the end of its life."""
    with (
        OpenAIUpstream(models=(ROUTING_MODEL,), api_key=UPSTREAM_KEY).in_thread() as upstream,
        StoreProcess() as store,
    ):
        store.start()
        timeouts = {"connect": "2s", "headers": "4s", "idle": "4s", "total": f"{TOTAL_SECONDS}s"}
        served = tier(
            upstream.url, ROUTING_MODEL, slots=1, price={"input": 0, "output": 1000}, timeouts=timeouts,
            queue={"length": 9, "wait": "3s"},
        )  # fmt: skip
        budgets = [
            {"name": "money", "owner": {"all": "*"}, "limit": "1 USD", "window": "30d"},
            {"name": "calls", "owner": {"all": "*"}, "limit": "9 requests", "window": "30d"},
        ]
        described = tier_map({"routing": served}, budgets=budgets, store=store.url)
        lease = {"TIERGATE_SLOT_LEASE_SECONDS": str(LEASE_SECONDS)}
        doomed, other = start_gateway(described, environment=lease), start_gateway(described, environment=lease)
        upstream.script(Behaviour(tokens=ANSWER_TOKENS, pace_seconds=0.05))
        with doomed.connection() as connection:
            headers = {"authorization": f"Bearer {doomed.key}", "content-type": "application/json"}
            connection.request("POST", "/v1/chat/completions", json.dumps({**BODY, "stream": True}), headers)
            assert connection.getresponse().read(20)
            worst = other.budget("money")["held"]
            assert worst == ANSWER_TOKENS * 1000
            doomed.kill()
            upstream.script(Behaviour(tokens=1))
            assert other.call("POST", "/v1/chat/completions", BODY).status == 200
        balance = other.budget("money")
        assert (balance["settled"], balance["held"]) == (1000, worst)
        [told] = other.call("GET", "/tiergate/v1/budgets/money").json()["data"]
        [holding] = told["holdings"]
        assert holding["amount"] == worst
        after = other.nothing_held("money", seconds=EXPIRED_SECONDS)
        assert after["settled"] == worst + 1000
        assert other.nothing_held("calls")["settled"] == 2
