import httpx

from tests.deploy.emulator.control_plane.rig import QUEUE

BODY = {"name": "r", "username": "someone", "password": "hidden"}
ARN = "arn:aws:ecr:us-east-2:418399314813:repository/team/app"


async def test_a_logins_credentials_are_never_shown(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v2/registries", json=BODY)
    assert answer.status_code == 201
    made = answer.json()
    assert made == {"id": made["id"], "name": "r"}
    assert (await api.get("/v2/registries")).json() == {"registries": [made]}
    assert (await api.get(f"/v2/registries/{made['id']}")).json() == made


async def test_names_are_unique(api: httpx.AsyncClient) -> None:
    await api.post("/v2/registries", json=BODY)
    assert (await api.post("/v2/registries", json=BODY)).status_code == 400


async def test_deleting_a_login_silently_takes_it_from_templates(api: httpx.AsyncClient) -> None:
    made = (await api.post("/v2/registries", json=BODY)).json()
    body = {"name": "t", "image": "i", "registry": made["id"]}
    template = (await api.post("/v2/templates", json=body)).json()
    await api.post("/v2/templates", json={"name": "u", "image": "i"})
    assert (await api.post("/v2/serverless", json=QUEUE | {"registry": made["id"]})).status_code == 201
    assert (await api.delete(f"/v2/registries/{made['id']}")).status_code == 204
    assert (await api.get(f"/v2/templates/{template['id']}")).json()["registry"] is None
    assert (await api.delete(f"/v2/registries/{made['id']}")).status_code == 404


async def test_a_delegation_is_read_from_its_arn(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v2/registries/delegations", json={"resource": ARN + ":v1", "name": "d"})
    assert answer.status_code == 201
    made = answer.json()
    assert made == {
        "id": made["id"],
        "name": "d",
        "delegatorUserId": "mine",
        "awsUser": "418399314813",
        "repository": "team/app",
        "tag": "v1",
        "awsRegion": "us-east-2",
        "dockerRegistryUri": "418399314813.dkr.ecr.us-east-2.amazonaws.com",
        "createdAt": "2026-11-22T12:00:00Z",
    }
    unnamed = (await api.post("/v2/registries/delegations", json={"resource": ARN})).json()
    assert (unnamed["name"], unnamed["tag"]) == (None, "latest")
    assert (await api.get("/v2/registries/delegations")).json() == {"delegations": [made, unnamed]}
    path = f"/v2/registries/delegations/{made['id']}"
    assert (await api.delete(path)).status_code == 204
    assert (await api.delete(path)).status_code == 404


async def test_what_is_no_arn_is_refused(api: httpx.AsyncClient) -> None:
    assert (await api.post("/v2/registries/delegations", json={"resource": "team/app"})).status_code == 400
