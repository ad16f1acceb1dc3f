"""Who may use the admin API; ``test_office`` and the acceptance tests have what it does, ``test_api`` its reload."""

import pytest

from gateway.authenticate import digest
from tests.gateway.composed import KEY, composed

ADMIN_KEY = "sk-admin"
ROUTES = [
    ("POST", "/tiergate/v1/keys"),
    ("GET", "/tiergate/v1/keys"),
    ("GET", "/tiergate/v1/keys/x"),
    ("DELETE", "/tiergate/v1/keys/x"),
    ("POST", "/tiergate/v1/keys/x/rotate"),
    ("GET", "/tiergate/v1/audit"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_without_an_admin_key_it_is_off(method: str, path: str) -> None:
    async with composed().client(KEY) as client:
        assert (await client.request(method, path, json={})).status_code == 404


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_callers_key_is_refused_and_noted_without_it(method: str, path: str) -> None:
    subject = composed(admin=digest(ADMIN_KEY.encode()))
    async with subject.client(KEY) as client:
        assert (await client.request(method, path, json={})).status_code == 401
    [line] = [line for line in subject.logged() if line["event"] == "admin.refused"]
    assert line["path"] == path
    assert KEY not in str(line)


async def test_without_the_store_nothing_is_changed() -> None:
    subject = composed(admin=digest(ADMIN_KEY.encode()))
    async with subject.client(ADMIN_KEY) as client:
        response = await client.post("/tiergate/v1/keys", json={"name": "ci"})
    assert (response.status_code, response.json()["error"]["code"]) == (503, "store_unavailable")
