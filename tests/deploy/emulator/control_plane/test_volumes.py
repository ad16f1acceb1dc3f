from typing import Any

import httpx
import pytest

BODY = {"name": "v", "size": 50, "dataCenter": "EU-RO-1"}


async def test_a_volume_is_made_read_listed_and_deleted(api: httpx.AsyncClient, other_api: httpx.AsyncClient) -> None:
    answer = await api.post("/v2/network-volumes", json=BODY)
    assert answer.status_code == 201
    made = answer.json()
    assert made == {"id": made["id"], "name": "v", "size": 50, "dataCenter": "EU-RO-1", "type": "STANDARD"}
    path = f"/v2/network-volumes/{made['id']}"
    assert (await api.get(path)).json() == made
    assert (await api.get("/v2/network-volumes")).json() == {"networkVolumes": [made]}
    assert (await other_api.get(path)).status_code == 404
    assert (await api.delete(path)).status_code == 204
    assert (await api.delete(path)).status_code == 404


async def test_the_tier_is_the_data_centers_own_where_it_is_left_out(api: httpx.AsyncClient) -> None:
    made = (await api.post("/v2/network-volumes", json=BODY | {"dataCenter": "US-KS-2"})).json()
    assert made["type"] == "HIGH_PERFORMANCE"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"dataCenter": "MARS-1"}, 400),
        ({"dataCenter": "US-TX-3"}, 400),
        ({"dataCenter": "EU-SE-1", "type": "HIGH_PERFORMANCE"}, 400),
        ({"size": 9}, 422),
        ({"size": 4097}, 422),
    ],
)
async def test_a_volume_that_cannot_be_is_refused(api: httpx.AsyncClient, changes: dict[str, Any], status: int) -> None:
    assert (await api.post("/v2/network-volumes", json=BODY | changes)).status_code == status


async def test_a_volume_only_grows_and_never_moves(api: httpx.AsyncClient) -> None:
    made = (await api.post("/v2/network-volumes", json=BODY)).json()
    path = f"/v2/network-volumes/{made['id']}"
    assert (await api.patch(path, json={"size": 60, "name": "w"})).json() == {**made, "size": 60, "name": "w"}
    assert (await api.patch(path, json={"size": 60})).status_code == 200
    shrunk = await api.patch(path, json={"size": 59})
    assert (shrunk.status_code, shrunk.json()["detail"]) == (400, "network volume size can only be increased")
    assert (await api.patch(path, json={"dataCenter": "EU-SE-1"})).status_code == 422
    assert (await api.patch(path, json={"type": "HIGH_PERFORMANCE"})).status_code == 422
    empty = await api.patch(path, json={})
    assert (empty.status_code, empty.json()["errors"]) == (422, ["$: minProperties: got 0, want 1"])
