"""The call that announces tiers, over HTTP."""

import json
from typing import Any

import pytest

from gateway.wake_api import TIERS_MAX
from tests.gateway.composed import KEY, ROUTING_KEY, composed

PATH = "/tiergate/v1/wake"


async def announce(body: object, *, key: str | None = KEY) -> tuple[int, Any]:
    """POST to the whole application, whose tiers never sleep."""
    async with composed().client(key) as client:
        answer = await client.post(PATH, content=json.dumps(body), headers={"content-type": "application/json"})
        return answer.status_code, answer.json()


async def test_each_tier_is_answered_for() -> None:
    status, body = await announce({"tiers": ["small", "reasoning"], "run": "run-7"})
    assert (status, body["object"]) == (202, "list")
    assert [(each["name"], each["tier"], each["state"]) for each in body["data"]] == [
        ("small", "routing", "never_sleeps"),
        ("reasoning", "reasoning", "never_sleeps"),
    ]


async def test_a_key_announces_what_it_may_use() -> None:
    _, body = await announce({"tiers": ["routing", "reasoning"]}, key=ROUTING_KEY)
    assert [(each["state"], each["code"]) for each in body["data"]] == [
        ("never_sleeps", None),
        ("refused", "tier_not_allowed"),
    ]


@pytest.mark.parametrize("key", [None, "sk-unknown"])
async def test_without_a_key_nothing_is_looked_at(key: str | None) -> None:
    assert (await announce({"tiers": ["routing"]}, key=key))[0] == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tiers": []},
        {"tiers": [""]},
        {"tiers": ["t"] * (TIERS_MAX + 1)},
        {"tiers": ["t" * 257]},
        {"tiers": ["routing"], "run": "r" * 257},
        {"tiers": ["routing"], "urgent": True},
        {"tiers": "routing"},
        [],
    ],
)
async def test_what_is_no_announcement_is_refused(body: object) -> None:
    status, answer = await announce(body)
    assert (status, answer["error"]["code"]) == (400, "invalid_request")


async def test_it_is_counted_by_what_became_of_it() -> None:
    """By tier and by a fixed word."""
    whole = composed()
    async with whole.client() as client:
        await client.post(PATH, json={"tiers": ["routing"]})
        scrape = (await client.get("/metrics")).text
    assert 'tiergate_announced_tiers_total{state="never_sleeps",tier="routing"} 1.0' in scrape
