import httpx

from tests.deploy.emulator.control_plane.rig import QUEUE, Rig

BODY = {"name": "t", "image": "registry.example/a:1"}


async def test_a_template_has_its_defaults(api: httpx.AsyncClient) -> None:
    """Both ``start…`` flags are on, and it is for pods, unless one says otherwise."""
    answer = await api.post("/v2/templates", json=BODY)
    assert answer.status_code == 201
    made = answer.json()
    assert made == {
        "id": made["id"],
        "name": "t",
        "image": "registry.example/a:1",
        "args": "",
        "disk": 20,
        "ports": [],
        "env": {},
        "registry": None,
        "mounts": {},
        "serverless": False,
        "public": False,
        "category": "NVIDIA",
        "startSsh": True,
        "startJupyter": True,
        "allowedCudaVersions": [],
    }
    assert (await api.get(f"/v2/templates/{made['id']}")).json() == made


async def test_a_template_keeps_all_that_is_sent(api: httpx.AsyncClient) -> None:
    sent = {
        "name": "t",
        "image": "i",
        "args": "--x",
        "disk": 5,
        "ports": ["80/http"],
        "env": {"A": "{{ RUNPOD_SECRET_a }}"},
        "registry": None,
        "mounts": {"persistent": {"size": 20, "path": "/w"}},
        "serverless": True,
        "public": True,
        "category": "AMD",
        "startSsh": False,
        "startJupyter": False,
        "allowedCudaVersions": ["12.8"],
    }
    made = (await api.post("/v2/templates", json=sent)).json()
    assert {name: made[name] for name in sent} == sent
    path = f"/v2/templates/{made['id']}"
    assert (await api.patch(path, json={"mounts": {}})).json() == made, "{} leaves the mount as it is"
    changed = (await api.patch(path, json={"name": "u", "allowedCudaVersions": []})).json()
    assert changed == {**made, "name": "u", "allowedCudaVersions": []}


async def test_lists_have_the_accounts_own_by_pages(api: httpx.AsyncClient, other_api: httpx.AsyncClient) -> None:
    for number in range(3):
        await api.post("/v2/templates", json=BODY | {"name": f"t{number}"})
    first = (await api.get("/v2/templates", params={"limit": "2"})).json()
    assert ([one["name"] for one in first["templates"]], first["pagination"]["hasNextPage"]) == (["t0", "t1"], True)
    assert (await other_api.get("/v2/templates")).json()["templates"] == []


async def test_names_are_unique_and_registries_exist(api: httpx.AsyncClient) -> None:
    made = (await api.post("/v2/templates", json=BODY)).json()
    assert (await api.post("/v2/templates", json=BODY)).status_code == 400
    assert (await api.patch(f"/v2/templates/{made['id']}", json={"name": "t"})).status_code == 200
    assert (await api.post("/v2/templates", json=BODY | {"name": "u", "registry": "none"})).status_code == 400


async def test_public_templates_are_read_by_all_and_changed_by_nobody(api: httpx.AsyncClient) -> None:
    official = (await api.get("/v2/catalog/templates")).json()
    assert official["pagination"] == {"nextCursor": None, "hasNextPage": False}
    assert {one["serverless"] for one in official["templates"]} == {True, False}
    assert (await api.get("/v2/catalog/templates", params={"source": "community"})).json()["templates"] == []
    assert (await api.get("/v2/catalog/templates", params={"source": "mine"})).status_code == 422
    path = f"/v2/templates/{official['templates'][0]['id']}"
    assert (await api.get(path)).status_code == 200
    assert (await api.patch(path, json={})).status_code == 404
    assert (await api.delete(path)).status_code == 404
    assert (await api.get("/v2/templates/none")).status_code == 404


async def test_augusts_public_templates_have_no_pages() -> None:
    async with Rig(edition="2026-08").in_memory() as api:
        assert "pagination" not in (await api.get("/v2/catalog/templates")).json()


async def test_a_template_that_goes_with_an_endpoint_cannot_be_deleted_before_it(api: httpx.AsyncClient) -> None:
    made = (await api.post("/v2/serverless", json=QUEUE)).json()
    [bound] = (await api.get("/v2/templates")).json()["templates"]
    refused = await api.delete(f"/v2/templates/{bound['id']}")
    assert (refused.status_code, "bound" in refused.json()["detail"]) == (400, True)
    changed = await api.patch(f"/v2/templates/{bound['id']}", json={"image": "other"})
    assert changed.status_code == 200
    assert (await api.get(f"/v2/serverless/{made['id']}")).json()["image"] == QUEUE["image"]
    free = (await api.post("/v2/templates", json=BODY)).json()
    assert (await api.delete(f"/v2/templates/{free['id']}")).status_code == 204
    assert (await api.delete(f"/v2/templates/{free['id']}")).status_code == 404
