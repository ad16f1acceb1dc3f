"""What the gateway tells of itself."""

import asyncio
import json

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.status import CHECK_SECONDS
from tests.doubles.transport import FakeResponse, Gate, Hang
from tests.gateway.composed import STORE_HOST, Composed, composed
from tests.gateway.samples import request
from tests.stores import eventually


@pytest.fixture
def subject() -> Composed:
    return composed()


async def test_a_gateway_with_its_store_is_ready(subject: Composed) -> None:
    """Each part says so."""
    response = await subject.get("/readyz")
    assert (response.status_code, response.json()) == (
        200,
        {"ready": True, "checks": {"gateway": "ok", "store": "ok"}},
    )


async def test_one_that_is_stopping_is_not(subject: Composed) -> None:
    """It still serves what has begun."""
    subject.parts.drain()
    response = await subject.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"ready": False, "checks": {"gateway": "draining", "store": "ok"}}


@pytest.mark.parametrize("silent", [True, False], ids=["silent", "gone"])
async def test_without_its_store_it_is_not_ready_and_the_log_says_why(subject: Composed, silent: bool) -> None:
    """Within the second that a probe waits. A stranger is not told where the store is."""
    if silent:
        subject.redis.slow = Hang()
    else:
        subject.redis.trouble = RedisConnectionError("no route to 10.0.0.7")
    response = await subject.get("/readyz", key=None)
    assert response.status_code == 503
    assert "does not answer" in response.json()["checks"]["store"]
    assert "10.0.0.7" not in response.text
    assert STORE_HOST not in response.text
    [line] = subject.logged()
    assert line["event"] == "store.unavailable"
    assert line["message"]
    assert CHECK_SECONDS < 1


async def test_a_scrape_shows_slots_budgets_and_queues(subject: Composed) -> None:
    """While a request is under way."""
    gate = Gate()
    subject.transport.then(gate, FakeResponse(b'{"choices":[1],"usage":{"prompt_tokens":7}}'))
    async with subject.client() as client:
        task = asyncio.ensure_future(client.post("/v1/chat/completions", content=request()))
        await gate.reached.wait()
        text = (await subject.get("/metrics")).text
        assert 'tiergate_slots_held{tier="routing"} 1.0' in text
        assert 'tiergate_queue_length{tier="routing"} 0.0' in text
        assert "tiergate_store_up 1.0" in text
        assert 'tiergate_budget_held{budget="money",unit="USD"} 0.0' in text
        gate.opened.set()
        await task
    text = (await subject.get("/metrics")).text
    assert 'tiergate_slots_held{tier="routing"} 0.0' in text
    assert 'tiergate_budget_settled{budget="money",unit="USD"} 7e-06' in text


@pytest.mark.parametrize("silent", [True, False], ids=["silent", "gone"])
async def test_a_scrape_does_not_wait_for_a_store_that_is_away(subject: Composed, silent: bool) -> None:
    """The process's own series are there all the same."""
    if silent:
        subject.ledger.slow["slots_held"] = Hang()
    else:
        subject.ledger.down = {"balances"}
    response = await subject.get("/metrics")
    assert response.status_code == 200
    assert "tiergate_store_up 0.0" in response.text
    assert "tiergate_slots_held{" not in response.text


async def test_settlements_that_wait_for_the_store_are_shown(subject: Composed) -> None:
    """An operator sees that money is not booked yet."""
    subject.ledger.down = {"settle"}
    subject.transport.then(FakeResponse(b'{"choices":[1]}'))
    async with subject.client() as client:
        assert (await client.post("/v1/chat/completions", content=request())).status_code == 200
    await eventually(lambda: subject.parts.settler.unsettled == 1)
    assert "tiergate_settlements_waiting 1.0" in (await subject.get("/metrics")).text


async def test_a_secret_never_shows(subject: Composed) -> None:
    """Neither in answers nor in the log: keys, prompts, addresses of the store."""
    subject.transport.then(FakeResponse(b"boom", status=500))
    async with subject.client() as client:
        body = json.dumps({"model": "routing", "messages": [{"content": "my prompt"}]})
        answer = await client.post("/v1/chat/completions", content=body)
    shown = answer.text + str(subject.logged()) + (await subject.get("/metrics")).text + repr(subject.parts)
    for secret in ("sk-the-whole-map", "my prompt", STORE_HOST):
        assert secret not in shown
