from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette

from deploy.emulator.control_plane.rehearsal import PATH, Rehearsal
from tests.deploy.emulator.control_plane.rig import QUEUE, Rig

OFF: dict[str, object] = {"soldOut": [], "missingImages": [], "status": None, "remaining": None, "lostAnswers": 0}


@pytest.fixture
async def operator(rig: Rig) -> AsyncIterator[httpx.AsyncClient]:
    """Whoever runs the emulator; has no key."""
    transport = httpx.ASGITransport(Starlette(routes=rig.rehearsal.routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://emulator") as client:
        yield client


async def test_what_is_switched_on_strikes_until_it_is_switched_off(
    api: httpx.AsyncClient, operator: httpx.AsyncClient
) -> None:
    asked = {"soldOut": [["ADA_24", "*"]], "missingImages": ["a:1"]}
    assert (await operator.patch(PATH, json=asked)).json() == OFF | asked
    assert (await api.post("/v2/serverless", json=QUEUE | {"dataCenterIds": ["US-TX-3"]})).status_code == 400
    assert (await api.post("/v2/serverless", json=QUEUE | {"image": "a:1"})).status_code == 422
    assert (await operator.get(PATH)).json() == OFF | asked
    assert (await operator.delete(PATH)).json() == OFF
    assert (await api.post("/v2/serverless", json=QUEUE | {"dataCenterIds": ["US-TX-3"]})).status_code == 201
    assert (await api.post("/v2/serverless", json=QUEUE | {"image": "a:1"})).status_code == 201


async def test_an_outage_hits_as_many_calls_as_it_says_and_changes_nothing(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, rig: Rig
) -> None:
    await operator.patch(PATH, json={"status": 503, "remaining": 2})
    for _ in range(2):
        answer = await api.post("/v2/serverless", json=QUEUE)
        assert (answer.status_code, answer.json()["title"]) == (503, "Service Unavailable")
    assert rig.world.endpoints == {}
    assert (await api.post("/v2/serverless", json=QUEUE)).status_code == 201


async def test_an_outage_without_an_end_goes_on_and_a_429_says_when_to_come_again(
    api: httpx.AsyncClient, operator: httpx.AsyncClient
) -> None:
    await operator.patch(PATH, json={"status": 429})
    for _ in range(3):
        answer = await api.get("/v2/serverless")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    await operator.patch(PATH, json={"status": None})
    assert (await api.get("/v2/serverless")).status_code == 200


async def test_an_answer_is_lost_after_the_change_was_made(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, rig: Rig
) -> None:
    """Only of calls that change something, and only as often as asked."""
    await operator.patch(PATH, json={"lostAnswers": 1})
    assert (await api.get("/v2/serverless")).status_code == 200
    assert (await api.post("/v2/serverless", json=QUEUE)).status_code == 504
    assert len(rig.world.endpoints) == 1
    assert (await api.post("/v2/serverless", json=QUEUE)).status_code == 201


async def test_a_status_without_a_name_can_be_rehearsed(api: httpx.AsyncClient, operator: httpx.AsyncClient) -> None:
    await operator.patch(PATH, json={"status": 524})
    assert (await api.get("/v2/serverless")).json()["title"] == "Error"


@pytest.mark.parametrize("body", [{"status": 200}, {"soldOut": [["ADA_24"]]}, {"remaining": -1}, {"bogus": 1}])
async def test_what_cannot_be_rehearsed_is_refused(operator: httpx.AsyncClient, body: dict[str, object]) -> None:
    assert (await operator.patch(PATH, json=body)).status_code == 422
    assert (await operator.get(PATH)).json()["status"] is None


def test_nothing_is_wrong_at_first() -> None:
    assert Rehearsal().outage() is None
