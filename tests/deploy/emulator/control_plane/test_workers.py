from typing import Any

import httpx

from deploy.emulator.model.faults import Faults
from tests.deploy.emulator.control_plane.rig import BALANCED, QUEUE, Rig


async def make(api: httpx.AsyncClient, rig: Rig, faults: Faults | None = None, **changes: object) -> str:
    made = (await api.post("/v2/serverless", json=QUEUE | changes)).json()
    rig.world.set_faults(made["id"], faults or Faults(pull_seconds=60, load_seconds=100), rig.clock.now())
    id_: str = made["id"]
    return id_


async def workers(api: httpx.AsyncClient, id_: str) -> dict[str, Any]:
    answer: dict[str, Any] = (await api.get(f"/v2/serverless/{id_}/workers")).json()
    return answer


async def test_a_worker_goes_from_initializing_over_running_to_idle_and_is_not_listed_when_scaled_down(
    api: httpx.AsyncClient, rig: Rig
) -> None:
    """``/health`` calls it ready while its model loads; here it is INITIALIZING until then."""
    id_ = await make(api, rig)
    job = rig.world.submit(id_, {"prompt": "hi"}, rig.clock.now())
    told = await workers(api, id_)
    [worker] = told["workers"]
    assert (worker["status"], worker["startedAt"], worker["uptimeSeconds"]) == ("INITIALIZING", None, None)
    rig.move(70)
    [worker] = (await workers(api, id_))["workers"]
    assert (worker["status"], worker["uptimeSeconds"]) == ("INITIALIZING", 10)
    assert rig.endpoint(id_).health()["workers"]["ready"] == 1
    rig.move(100)
    told = await workers(api, id_)
    assert told["workers"][0]["status"] == "RUNNING"
    assert told["summary"] == {
        "running": 1,
        "idle": 0,
        "initializing": 0,
        "throttled": 0,
        "unhealthy": 0,
        "total": 1,
    }
    rig.world.finish(job, rig.clock.now())
    assert (await workers(api, id_))["workers"][0]["status"] == "IDLE"
    rig.move(11)
    assert (await workers(api, id_))["summary"]["total"] == 0
    assert len(rig.endpoint(id_).workers) == 1, "its host is kept for a while"


async def test_a_worker_says_what_it_runs_on(api: httpx.AsyncClient, rig: Rig) -> None:
    id_ = await make(api, rig, workers={"min": 1})
    rig.move(200)
    [worker] = (await workers(api, id_))["workers"]
    assert worker == {
        "id": worker["id"],
        "status": "IDLE",
        "isStale": False,
        "version": 1,
        "gpuCount": 1,
        "image": QUEUE["image"],
        "uptimeSeconds": worker["uptimeSeconds"],
        "gpuTypeId": "NVIDIA GeForce RTX 4090",
        "dataCenterId": "EU-RO-1",
        "startedAt": worker["startedAt"],
    }


async def test_a_cpu_worker_has_no_gpu(api: httpx.AsyncClient) -> None:
    made = (await api.post("/v2/serverless", json=BALANCED | {"workers": {"min": 1}})).json()
    [worker] = (await workers(api, made["id"]))["workers"]
    assert (worker["gpuCount"], worker["gpuTypeId"]) == (0, None)


async def test_without_capacity_workers_are_throttled_and_placed_nowhere(api: httpx.AsyncClient, rig: Rig) -> None:
    id_ = await make(api, rig, Faults(no_capacity=True))
    rig.world.submit(id_, {"prompt": "hi"}, rig.clock.now())
    told = await workers(api, id_)
    [worker] = told["workers"]
    assert (worker["status"], worker["gpuTypeId"], worker["dataCenterId"]) == ("THROTTLED", None, None)
    assert told["summary"]["throttled"] == 1


async def test_a_crash_loop_shows_as_unhealthy(api: httpx.AsyncClient, rig: Rig) -> None:
    id_ = await make(api, rig, Faults(crash_loop=True, pull_seconds=1, load_seconds=5))
    rig.world.submit(id_, {"prompt": "hi"}, rig.clock.now())
    rig.move(7)
    assert (await workers(api, id_))["summary"]["unhealthy"] == 1


async def test_a_new_image_makes_a_busy_worker_stale_until_it_is_done(api: httpx.AsyncClient, rig: Rig) -> None:
    """PATCH answers with the new image at once; what works goes on with the old one."""
    id_ = await make(api, rig)
    job = rig.world.submit(id_, {"prompt": "hi"}, rig.clock.now())
    rig.move(200)
    path = f"/v2/serverless/{id_}"
    changed = (await api.patch(path, json={"image": "runpod/worker-v1-vllm:v2.25.3"})).json()
    assert changed["image"].endswith("v2.25.3")
    told = await workers(api, id_)
    [stale] = [worker for worker in told["workers"] if worker["isStale"]]
    assert (stale["status"], stale["version"], stale["image"]) == ("RUNNING", 1, QUEUE["image"])
    assert told["endpointVersion"] == 2
    rig.world.finish(job, rig.clock.now())
    rig.move(1)
    assert not [worker for worker in (await workers(api, id_))["workers"] if worker["isStale"]]
