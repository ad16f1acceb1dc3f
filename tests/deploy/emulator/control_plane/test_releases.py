from typing import Any

import httpx

from deploy.emulator.model.faults import Faults
from tests.deploy.emulator.control_plane.rig import QUEUE, Rig


async def releases(api: httpx.AsyncClient, id_: str, **query: str) -> dict[str, Any]:
    answer: dict[str, Any] = (await api.get(f"/v2/serverless/{id_}/releases", params=query)).json()
    return answer


async def test_every_change_is_a_release_with_what_it_changed_newest_first(api: httpx.AsyncClient, rig: Rig) -> None:
    made = (await api.post("/v2/serverless", json=QUEUE)).json()
    path = f"/v2/serverless/{made['id']}"
    rig.move(60)
    await api.patch(path, json={"image": "registry.example/a:1", "env": {"A": "1"}})
    await api.patch(path, json={"workers": {"max": 5}, "scaling": {"type": "REQUEST_COUNT", "requestCount": 2}})
    await api.patch(path, json={"gpu": {"count": 2, "minCudaVersion": "12.8"}, "flashboot": "FLASHBOOT"})
    told = await releases(api, made["id"])
    assert told["endpointVersion"] == 4
    assert [release["version"] for release in told["releases"]] == [4, 3, 2, 1]
    assert [release["diff"] for release in told["releases"]] == [
        [
            {"field": "gpuCount", "old": 1, "new": 2},
            {"field": "gpu.minCudaVersion", "old": None, "new": "12.8"},
            {"field": "flashboot", "old": "OFF", "new": "FLASHBOOT"},
        ],
        [
            {
                "field": "scaling",
                "old": {"type": "QUEUE_DELAY", "queueDelay": 4},
                "new": {"type": "REQUEST_COUNT", "requestCount": 2},
            },
            {"field": "workers.max", "old": 3, "new": 5},
        ],
        [
            {"field": "template.imageName", "old": QUEUE["image"], "new": "registry.example/a:1"},
            {"field": "template.env", "old": {}, "new": {"A": "1"}},
        ],
        [],
    ]
    assert told["releases"][2]["createdAt"] == "2026-11-22T12:01:00Z"
    assert {release["source"] for release in told["releases"]} == {"MANUAL"}


async def test_a_patch_that_changes_nothing_makes_no_release(api: httpx.AsyncClient) -> None:
    made = (await api.post("/v2/serverless", json=QUEUE)).json()
    answer = await api.patch(f"/v2/serverless/{made['id']}", json={"name": "route"})
    assert (answer.status_code, answer.json()) == (200, made)
    assert (await releases(api, made["id"]))["endpointVersion"] == 1


async def test_a_rollout_goes_on_while_a_busy_worker_runs_the_old_version(api: httpx.AsyncClient, rig: Rig) -> None:
    made = (await api.post("/v2/serverless", json=QUEUE)).json()
    assert (await releases(api, made["id"]))["rollout"] == {
        "inProgress": False,
        "workersOnLatest": 0,
        "workersTotal": 0,
        "percentOnLatest": 0,
    }
    rig.world.set_faults(made["id"], Faults(pull_seconds=10, load_seconds=10), rig.clock.now())
    job = rig.world.submit(made["id"], {"prompt": "hi"}, rig.clock.now())
    rig.move(30)
    assert job.status == "IN_PROGRESS"
    await api.patch(f"/v2/serverless/{made['id']}", json={"env": {"A": "1"}, "workers": {"min": 1}})
    told = await releases(api, made["id"])
    assert told["rollout"] == {"inProgress": True, "workersOnLatest": 1, "workersTotal": 2, "percentOnLatest": 50}
    assert [release["workerCount"] for release in told["releases"]] == [1, 1]
    rig.world.finish(job, rig.clock.now())
    rig.move(1)
    assert (await releases(api, made["id"]))["rollout"]["percentOnLatest"] == 100


async def test_releases_have_pages_and_the_rollout_stays_the_endpoints(api: httpx.AsyncClient) -> None:
    made = (await api.post("/v2/serverless", json=QUEUE)).json()
    for most in (4, 5):
        await api.patch(f"/v2/serverless/{made['id']}", json={"workers": {"max": most}})
    first = await releases(api, made["id"], limit="2")
    assert [release["version"] for release in first["releases"]] == [3, 2]
    rest = await releases(api, made["id"], limit="2", cursor=first["pagination"]["nextCursor"])
    assert [release["version"] for release in rest["releases"]] == [1]
    assert (rest["pagination"]["hasNextPage"], rest["endpointVersion"]) == (False, 3)
