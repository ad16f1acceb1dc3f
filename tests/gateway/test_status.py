"""What the gateway tells of itself."""

import asyncio
import json
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.checked_map import text_hash
from gateway.status import CHECK_SECONDS
from gateway.telemetry.shared import Roster, SharedSeries
from tests.doubles.clock import ManualClock
from tests.doubles.transport import FakeResponse, Gate, Hang
from tests.gateway.composed import STORE_HOST, Composed, composed, place_of
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
        {
            "ready": True,
            "checks": {"gateway": "ok", "store": "ok"},
            "tier_map": {
                "generation": 1,
                "hash": text_hash(b"the map"),
                "loaded_unix": ManualClock().unix(),
                "rejected": None,
            },
        },
    )


async def test_one_that_is_stopping_is_not(subject: Composed) -> None:
    """It still serves what has begun."""
    subject.parts.drain()
    response = await subject.get("/readyz")
    assert response.status_code == 503
    assert (response.json()["ready"], response.json()["checks"]) == (False, {"gateway": "draining", "store": "ok"})


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


async def test_a_scrape_shows_how_long_the_store_took(subject: Composed) -> None:
    """The way that requests take, so that a slow store is seen before it is away."""
    assert "tiergate_store_ping_seconds 0.0" in (await subject.get("/metrics")).text
    subject.redis.trouble = RedisConnectionError("gone")
    text = (await subject.get("/metrics")).text
    assert "tiergate_store_up 0.0" in text
    assert "\ntiergate_store_ping_seconds" not in text


async def test_settlements_that_wait_for_the_store_are_shown(subject: Composed) -> None:
    """An operator sees that money is not booked yet."""
    subject.ledger.down = {"settle"}
    subject.transport.then(FakeResponse(b'{"choices":[1]}'))
    async with subject.client() as client:
        assert (await client.post("/v1/chat/completions", content=request())).status_code == 200
    await eventually(lambda: subject.parts.settler.unsettled == 1)
    assert "tiergate_settlements_waiting 1.0" in (await subject.get("/metrics")).text


async def test_a_scrape_shows_the_tasks_and_the_memory_of_the_process(subject: Composed) -> None:
    """A leak of either is seen."""
    text = (await subject.get("/metrics")).text
    assert "tiergate_event_loop_tasks " in text
    assert 'tiergate_resident_memory_bytes{process="0"}' in text


async def test_a_scrape_is_of_all_processes_and_no_other_shows_less_later(tmp_path: Path) -> None:
    """What one has shown it has written down before, so that it counts in whatever the others show."""
    roster = Roster(tmp_path)
    names = [roster.begin(process) for process in (0, 1)]
    one, other = (
        composed(place_of(SharedSeries(tmp_path, name, process=process))) for process, name in enumerate(names)
    )
    for _ in range(3):
        assert (await one.get("/v1/nothing")).status_code == 404
        async with one.client("sk-unknown") as client:
            await client.post("/v1/chat/completions", content=request())
    counted = 'tiergate_refusals_total{code="invalid_api_key",tier=""} 3.0'
    assert counted not in (await other.get("/metrics")).text
    assert counted in (await one.get("/metrics")).text
    assert counted in (await other.get("/metrics")).text
    roster.end(names[0])
    text = (await other.get("/metrics")).text
    assert counted in text
    assert 'tiergate_resident_memory_bytes{process="1"}' in text
    assert 'tiergate_resident_memory_bytes{process="0"}' not in text


async def test_a_process_shares_its_series_where_there_are_others(tmp_path: Path, subject: Composed) -> None:
    """And has nobody to tell where it is alone."""
    roster = Roster(tmp_path)
    one = composed(place_of(SharedSeries(tmp_path, roster.begin(0), process=0)))
    one.parts.share()
    subject.parts.share()
    [snapshot] = SharedSeries(tmp_path, "another", process=1).others()
    assert snapshot.gauges["tiergate_settlements_waiting"] == {(): [0]}


async def test_a_secret_never_shows(subject: Composed) -> None:
    """Neither in answers nor in the log: keys, prompts, addresses of the store."""
    subject.transport.then(*(FakeResponse(b"boom", status=500) for _ in range(9)))
    async with subject.client() as client:
        body = json.dumps({"model": "routing", "messages": [{"content": "my prompt"}]})
        answer = await client.post("/v1/chat/completions", content=body)
    shown = answer.text + str(subject.logged()) + (await subject.get("/metrics")).text + repr(subject.parts)
    for secret in ("sk-the-whole-map", "my prompt", STORE_HOST):
        assert secret not in shown
