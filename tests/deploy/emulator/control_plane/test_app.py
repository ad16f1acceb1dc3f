import httpx
import pytest
from starlette.routing import Route

from deploy.emulator.control_plane.app import FIRST_SEGMENTS, control_plane
from tests.deploy.emulator.control_plane.document import NOT_IN_IT, document, needs_document
from tests.deploy.emulator.control_plane.rig import KEY, Rig


async def test_a_path_that_is_not_served_is_a_problem(api: httpx.AsyncClient) -> None:
    answer = await api.get("/v2/serverless/x/builds")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {"title": "Not Found", "status": 404, "detail": "resource not found"}


async def test_a_method_that_is_not_served_is_a_405_that_names_those_that_are(api: httpx.AsyncClient) -> None:
    answer = await api.put("/v2/serverless/x", json={})
    assert answer.status_code == 405
    assert answer.json()["detail"] == "The requested method is not allowed for this path."
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "PATCH", "DELETE"}


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
async def test_rest_v1_is_gone(api: httpx.AsyncClient, method: str) -> None:
    answer = await api.request(method, "/v1/endpoints")
    assert (answer.status_code, answer.json()["status"]) == (410, 410)


async def test_there_is_no_path_for_the_accounts_balance(api: httpx.AsyncClient) -> None:
    assert (await api.get("/v2/account")).status_code == 404


async def test_august_has_no_secrets() -> None:
    async with Rig(edition="2026-08").in_memory() as api:
        assert (await api.get("/v2/secrets")).status_code == 404


def test_every_route_begins_with_a_word_that_no_endpoint_is_called(rig: Rig) -> None:
    """So that the data plane's ``/v2/{id}/…`` can stand beside it on one port."""
    paths = [getattr(route, "path", "") for route in rig.app.routes]
    assert {path.split("/")[2] for path in paths if path.startswith("/v2/")} <= FIRST_SEGMENTS


@needs_document
def test_every_operation_of_the_document_is_served_but_those_of_pods_clusters_and_keys(rig: Rig) -> None:
    """And nothing else, but for secrets and for what is left of v1."""
    routes = [route for route in rig.app.routes if isinstance(route, Route)]
    served = {(method, route.path) for route in routes for method in (route.methods or set()) - {"HEAD"}}
    left_out = ("/v2/pods", "/v2/clusters", "/v2/account")
    described = {(method, path) for method, path in document().operations() if not path.startswith(left_out)}
    assert {(method, path) for method, path in served if not path.startswith(NOT_IN_IT)} == described


async def test_urls_are_runpods_own_where_nothing_else_is_said(rig: Rig) -> None:
    app = control_plane(rig.world, rig.clock)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://api.runpod.io") as api:
        body = {
            "name": "n",
            "type": "LOAD_BALANCER",
            "image": "i",
            "cpu": [{"id": "cpu3c", "vcpuCount": 2}],
            "scaling": {"type": "REQUEST_COUNT", "requestCount": 1},
        }
        answer = await api.post("/v2/serverless", json=body, headers={"authorization": f"Bearer {KEY}"})
    made = answer.json()
    assert made["requestUrls"]["base"] == f"https://{made['id']}.api.runpod.ai"
