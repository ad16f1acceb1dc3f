"""What every request passes first."""

import asyncio
import json

import httpx
import pytest

from deploy.emulator.data_plane.entrance import Turned, edge_timeout, json_object
from deploy.emulator.model.faults import Faults
from tests.deploy.emulator.running import CHAT, INSTANT, running

pytestmark = pytest.mark.integration


async def test_the_key_decides_what_can_be_reached() -> None:
    async with running() as here:
        endpoint = here.queue()
        url = here.url(endpoint, "health")
        for headers in ({"authorization": "Bearer wrong"}, {"authorization": ""}):
            assert (await here.client.get(url, headers=headers)).status_code == 401
        assert (await here.client.get(url, headers={"authorization": "rpa_test"})).status_code == 200
        assert (await here.client.get(url.replace(endpoint.id, "other"))).status_code == 404


async def test_endpoints_are_called_in_their_own_way() -> None:
    async with running() as here:
        queue, balanced = here.queue(), here.balanced()
        origin = here.emulator.origin
        for url in (f"{origin}/lb/{queue.id}/ping", f"{origin}/v2/{balanced.id}/openai/v1/models"):
            answer = await here.client.get(url)
            assert (answer.status_code, answer.json()) == (400, {"error": "not allowed for QB API"})
        assert (await here.client.get(f"{origin}/v2/{balanced.id}/health")).status_code == 200


async def test_a_status_can_be_demanded_for_so_many_requests() -> None:
    async with running() as here:
        endpoint = here.queue(Faults(status=429, remaining=2))
        answers = [await here.post(endpoint, "purge-queue") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [429, 429, 200]
        assert answers[0].headers["retry-after"] == "1"
        assert (await here.get(endpoint, "health")).status_code == 200


async def test_a_fault_can_hit_one_operation_alone() -> None:
    """What polls a job must bear a 429 that nobody else gets."""
    async with running() as here:
        endpoint = here.queue(Faults(status=429, operation="status", remaining=1))
        job = (await here.post(endpoint, "run", {"input": {"prompt": "x"}})).json()
        answers = [(await here.get(endpoint, f"status/{job['id']}")).status_code for _ in range(2)]
        assert answers == [429, 200]


async def test_health_is_never_spoiled() -> None:
    async with running() as here:
        endpoint = here.queue(Faults(status=503))
        assert (await here.get(endpoint, "health")).status_code == 200
        refused = await here.post(endpoint, "run", {"input": {"a": 1}})
        assert (refused.status_code, "retry-after" in refused.headers) == (503, False)


async def test_silence_lasts_until_the_client_leaves() -> None:
    async with running() as here:
        endpoint = here.queue(Faults(silence=True))
        with pytest.raises(httpx.ReadTimeout):
            await here.post(endpoint, "run", {"input": {"a": 1}}, timeout=0.1)
        assert endpoint.jobs == {}


async def test_a_reset_breaks_the_connection() -> None:
    async with running() as here:
        endpoint = here.queue(Faults(reset=True))
        with pytest.raises(httpx.ReadError):
            await here.post(endpoint, "openai/v1/chat/completions", CHAT)


async def test_beyond_a_rate_limit_is_429() -> None:
    async with running(speed=0) as here:
        endpoint = here.queue(INSTANT)
        answers = [await here.post(endpoint, "purge-queue") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        here.emulator.clock.advance(10.0)
        assert (await here.post(endpoint, "purge-queue")).status_code == 200


async def test_calls_at_once_are_counted_until_they_end() -> None:
    async with running(speed=0) as here:
        endpoint = here.queue(Faults(no_capacity=True))
        await asyncio.gather(*(here.get(endpoint, "requests") for _ in range(2)))
        assert endpoint.gate._at_once["requests"] == 0


def test_what_is_no_json_object_is_turned_away() -> None:
    assert json_object(b'{"a": 1}') == {"a": 1}
    for body in (b"{", b"[1]", b""):
        with pytest.raises(Turned) as turned:
            json_object(body)
        assert turned.value.response.status_code == 400


def test_the_edge_answers_no_json() -> None:
    answer = edge_timeout()
    assert answer.status_code == 524
    with pytest.raises(json.JSONDecodeError):
        json.loads(bytes(answer.body))
