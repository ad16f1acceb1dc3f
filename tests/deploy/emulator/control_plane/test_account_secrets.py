import httpx
import pytest

BODY = {"name": "hf", "value": "hidden", "description": "read-only"}


async def test_a_secrets_value_is_never_shown(api: httpx.AsyncClient, other_api: httpx.AsyncClient) -> None:
    answer = await api.post("/v2/secrets", json=BODY)
    assert answer.status_code == 201
    made = answer.json()
    assert made == {
        "id": made["id"],
        "name": "hf",
        "description": "read-only",
        "createdAt": "2026-11-22T12:00:00Z",
    }
    path = f"/v2/secrets/{made['id']}"
    assert (await api.get(path)).json() == made
    assert (await api.get("/v2/secrets")).json() == {"secrets": [made]}
    assert (await other_api.get(path)).status_code == 404
    assert (await api.delete(path)).status_code == 204
    assert (await api.delete(path)).status_code == 404


async def test_a_name_is_given_once_and_never_changed(api: httpx.AsyncClient) -> None:
    made = (await api.post("/v2/secrets", json=BODY)).json()
    taken = await api.post("/v2/secrets", json=BODY)
    assert (taken.status_code, taken.headers["content-type"]) == (409, "application/problem+json")
    assert (await api.patch(f"/v2/secrets/{made['id']}", json={"name": "other"})).status_code == 422
    assert (await api.patch(f"/v2/secrets/{made['id']}", json={})).status_code == 422


async def test_value_and_description_can_change(api: httpx.AsyncClient) -> None:
    made = (await api.post("/v2/secrets", json=BODY)).json()
    path = f"/v2/secrets/{made['id']}"
    assert (await api.patch(path, json={"value": "new"})).json() == made
    assert (await api.patch(path, json={"description": ""})).json() == {**made, "description": None}


@pytest.mark.parametrize("name", ["RUNPOD_TOKEN", "runpod", "Runpod-x"])
async def test_runpods_own_names_are_reserved(api: httpx.AsyncClient, name: str) -> None:
    assert (await api.post("/v2/secrets", json=BODY | {"name": name})).status_code == 400


@pytest.mark.parametrize("name", ["", "1a", "a b", "x" * 192])
async def test_a_name_is_short_and_plain(api: httpx.AsyncClient, name: str) -> None:
    assert (await api.post("/v2/secrets", json=BODY | {"name": name})).status_code == 422
