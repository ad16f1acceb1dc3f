"""Which budget or limit refused a request is told in the answer, the log, the record and a metric, and what to do."""

import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from openai import InternalServerError, OpenAI

from tests.acceptance.conftest import ENVIRONMENT, KEY, ROUTING_MODEL, SLOT_MODEL, UPSTREAM_KEY, tier, tier_map
from tests.acceptance.gateway_process import Answer, GatewayProcess
from tests.doubles.openai_behaviour import Behaviour
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.acceptance

ONE = "1 requests"
OTHER_KEY = "tg-other-90fc22aa81"
BUDGETS = [
    {"name": "of-tier", "owner": {"tier": "narrow"}, "limit": ONE, "window": "30d"},
    {"name": "of-agent", "owner": {"agent": "spent"}, "limit": ONE, "window": "30d"},
    {"name": "of-key", "owner": {"key": "other"}, "limit": ONE, "window": "30d"},
    {"name": "of-team", "owner": {"team": "research"}, "limit": ONE, "window": "30d"},
    {"name": "of-flow", "owner": {"flow": "spent"}, "limit": ONE, "window": "30d"},
    {"name": "of-run", "owner": {"run": "spent-*"}, "limit": ONE, "window": "30d"},
    {"name": "lied-to", "owner": {"agent": "lied-to"}, "limit": "0.01 USD", "window": "30d"},
    {"name": "of-all", "owner": {"all": "*"}, "limit": "5000 tokens", "window": "12h"},
]
LIMITS = [
    {"name": "pace", "owner": {"agent": "hasty"}, "requests_per_minute": 1},
    {"name": "volume", "owner": {"agent": "wordy"}, "tokens_per_minute": 700},
    {"name": "at-once", "owner": {"agent": "parallel"}, "concurrency": 1},
]


@pytest.fixture(scope="module")
def upstream() -> Iterator[OpenAIUpstream]:
    with OpenAIUpstream(models=(ROUTING_MODEL, SLOT_MODEL), api_key=UPSTREAM_KEY).in_thread() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, gateway_python: str, upstream: OpenAIUpstream
) -> Iterator[GatewayProcess]:
    """Two keys: ``demo``'s team is ``research``."""
    queue = {"length": 10, "wait": "0.2s"}
    tiers = {
        "wide": tier(upstream.url, ROUTING_MODEL, queue=queue),
        "narrow": tier(upstream.url, SLOT_MODEL, queue=queue),
    }
    keys = [
        {"name": "demo", "key": "env:TEST_KEY"},
        {"name": "other", "key": "env:TEST_OTHER_KEY"},
        {"name": "researcher", "key": "env:TEST_NARROW_KEY", "team": "research"},
    ]
    with GatewayProcess(
        tmp_path_factory.mktemp("limits"),
        tier_map(tiers, budgets=BUDGETS, limits=LIMITS, keys=keys),
        key=KEY,
        python=gateway_python,
        environment={**ENVIRONMENT, "TEST_OTHER_KEY": OTHER_KEY},
    ) as running:
        yield running


def call(
    gateway: GatewayProcess, run: str, *, model: str = "wide", key: str = "", tokens: int = 10, **names: str
) -> Answer:
    """One call of a run; ``names`` are the agent and the like."""
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": tokens}
    headers = {f"x-tiergate-{name}": value for name, value in {"run": run, **names}.items()}
    return gateway.call("POST", "/v1/chat/completions", body, key=key, headers=headers)


def refusals(gateway: GatewayProcess, name: str) -> float:
    """How many refusals of that budget or limit the metrics have counted."""
    text = gateway.call("GET", "/metrics").body.decode()
    lines = [line for line in text.splitlines() if line.startswith("tiergate_limit_refusals_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines if f'limit="{name}"' in line)


def logged(gateway: GatewayProcess, request_id: str) -> list[dict[str, Any]]:
    """The log lines of a request."""
    return [one for one in gateway.events("request.ended") if one["request_id"] == request_id]


def check_told(gateway: GatewayProcess, answer: Answer, run: str, name: str, code: str) -> None:
    """Everywhere, by its name."""
    assert answer.code == code
    assert f"'{name}'" in answer.json()["error"]["message"]
    gateway.wait_until(lambda: any(one["error"] == code for one in gateway.records(run=run)))
    [record] = [one for one in gateway.records(run=run) if one["error"] == code]
    assert record["refused_by"] == name
    assert record["cost_microdollars"] == 0
    gateway.wait_until(lambda: bool(logged(gateway, record["request_id"])))
    assert [one["refused_by"] for one in logged(gateway, record["request_id"])] == [name]
    assert refusals(gateway, name) == 1


NARROW_KEY = ENVIRONMENT["TEST_NARROW_KEY"]


@pytest.mark.parametrize(
    ("name", "caller"),
    [
        ("of-tier", {"model": "narrow"}),
        ("of-agent", {"agent": "spent"}),
        ("of-key", {"key": OTHER_KEY}),
        ("of-team", {"key": NARROW_KEY}),
        ("of-flow", {"flow": "spent"}),
    ],
)
def test_a_spent_budget_is_named_whoever_it_belongs_to(
    gateway: GatewayProcess, name: str, caller: dict[str, Any]
) -> None:
    run = f"run-{uuid.uuid4().hex}"
    assert call(gateway, run, **caller).status == 200
    refused = call(gateway, run, **caller)
    assert (refused.status, refused.headers["x-should-retry"]) == (402, "false")
    # A key's records are its own to see: the second key's and the team's are looked up in their names.
    check_told_as(gateway, refused, run, name, caller.get("key", ""))


def check_told_as(gateway: GatewayProcess, refused: Answer, run: str, name: str, key: str) -> None:
    """As ``check_told``, with the records that this key may see."""
    own = gateway.key
    gateway.key = key or own
    try:
        check_told(gateway, refused, run, name, "budget_exhausted")
    finally:
        gateway.key = own


def test_a_runs_budget_and_one_for_all_are_named_as_well(gateway: GatewayProcess) -> None:
    run = f"spent-{uuid.uuid4().hex}"
    assert call(gateway, run).status == 200
    check_told(gateway, call(gateway, run), run, "of-run", "budget_exhausted")
    run = f"run-{uuid.uuid4().hex}"
    check_told(gateway, call(gateway, run, tokens=6000), run, "of-all", "budget_too_small")


@pytest.mark.parametrize(
    ("name", "agent", "unit", "limit"), [("pace", "hasty", "requests", 1), ("volume", "wordy", "tokens", 700)]
)
def test_a_minute_that_is_used_up_is_told_as_openai_does(
    *, gateway: GatewayProcess, upstream: OpenAIUpstream, name: str, agent: str, unit: str, limit: int
) -> None:
    """What is left, of how much, and when to come again; the refusal itself takes nothing of it."""
    run = f"run-{uuid.uuid4().hex}"
    upstream.script(Behaviour(tokens=150))
    answer = call(gateway, run, agent=agent, tokens=150)
    used = {"requests": 1, "tokens": answer.json()["usage"]["total_tokens"]}
    with OpenAI(base_url=gateway.url, api_key=KEY, max_retries=0) as client:
        headers = {"x-tiergate-agent": agent, "x-tiergate-run": run}
        seen = []
        for _ in range(2):
            with pytest.raises(InternalServerError) as caught:
                client.chat.completions.create(
                    model="wide",
                    messages=[{"role": "user", "content": "hello"}],
                    max_tokens=250,
                    extra_headers=headers,
                )
            seen.append(caught.value.response.headers)
            assert (caught.value.status_code, caught.value.code) == (503, "rate_limited")
    assert {one[f"x-ratelimit-limit-{unit}"] for one in seen} == {str(limit)}
    assert {one[f"x-ratelimit-remaining-{unit}"] for one in seen} == {str(limit - used[unit])}
    assert 0 < int(seen[1]["retry-after"]) <= int(seen[0]["retry-after"]) <= 60
    assert seen[0][f"x-ratelimit-reset-{unit}"]
    gateway.wait_until(lambda: len(gateway.records(run=run)) == 3)
    assert {one["refused_by"] for one in gateway.records(run=run)} == {"", name}
    assert refusals(gateway, name) == 2


def test_an_owner_with_all_its_requests_under_way_is_told_which_limit_that_is(
    gateway: GatewayProcess, upstream: OpenAIUpstream
) -> None:
    run = f"run-{uuid.uuid4().hex}"
    upstream.script(Behaviour(delay_seconds=1.0))
    before = len(upstream.posts)
    first = threading.Thread(target=call, args=(gateway, run), kwargs={"agent": "parallel"})
    first.start()
    try:
        upstream.wait_until(lambda: len(upstream.posts) > before)
        refused = call(gateway, run, agent="parallel")
        assert refused.status == 503
        assert int(refused.headers["retry-after"]) > 0
    finally:
        first.join()
    check_told(gateway, refused, run, "at-once", "concurrency_limited")
    assert call(gateway, run, agent="parallel").status == 200


def test_an_endpoint_that_reports_absurd_usage_does_not_overspend_a_budget(
    gateway: GatewayProcess, upstream: OpenAIUpstream
) -> None:
    """What is above all that the request could take is nobody's, and is told."""
    run = f"run-{uuid.uuid4().hex}"
    upstream.script(Behaviour(prompt_tokens=10**9))
    assert call(gateway, run, agent="lied-to").status == 200
    balance = gateway.nothing_held("lied-to")
    assert 0 < balance["settled"] < balance["limit"]
    assert gateway.record(run=run)["cost_microdollars"] == balance["settled"]
    text = gateway.call("GET", "/metrics").body.decode()
    assert 'tiergate_over_reported_amounts_total{tier="wide"}' in text
    gateway.wait_until(lambda: bool(gateway.events("usage.over_reported")))
