import httpx

from tests.deploy.emulator.control_plane.rig import QUEUE


async def test_a_path_finds_only_the_askers_own_endpoint(api: httpx.AsyncClient, other_api: httpx.AsyncClient) -> None:
    made = (await api.post("/v2/serverless", json=QUEUE)).json()
    assert (await api.get(f"/v2/serverless/{made['id']}/releases")).status_code == 200
    answer = await other_api.get(f"/v2/serverless/{made['id']}/releases")
    assert answer.json() == {"title": "Not Found", "status": 404, "detail": "endpoint not found"}
