"""The rules between a body and a configuration, asked over the whole way: a real call, a real answer."""

from typing import Any

import httpx
import pytest

from tests.deploy.emulator.control_plane.rig import BALANCED, QUEUE, Rig

CPU = {"cpu": [{"id": "cpu5c", "vcpuCount": 4}]}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in QUEUE.items() if key != name}


async def make(api: httpx.AsyncClient, **changes: object) -> dict[str, Any]:
    answer = await api.post("/v2/serverless", json=QUEUE | changes)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (without("gpu"), 400, "exactly one of gpu or cpu"),
        (QUEUE | CPU, 400, "exactly one of gpu or cpu"),
        (QUEUE | {"workers": {"min": 4, "max": 3}}, 400, "workers.min"),
        (QUEUE | {"timeout": -1}, 400, "timeout"),
        (QUEUE | {"registry": "none"}, 400, "registry"),
        (QUEUE | {"templateId": "none"}, 404, "template"),
        (without("image") | {"templateId": "runpod-torch"}, 422, "$.templateId: must be a serverless template"),
        (QUEUE | {"image": "registry.example/flows:none"}, 422, "does not exist"),
        (QUEUE | {"image": ""}, 422, "does not exist"),
        (
            QUEUE | {"scaling": {"type": "REQUEST_COUNT", "requestCount": 2}, "workers": {"idleTimeout": 5}},
            422,
            "$.workers.idleTimeout",
        ),
        (BALANCED | {"scaling": {"type": "QUEUE_DELAY", "queueDelay": 4}}, 422, "missing property 'requestCount'"),
    ],
)
async def test_what_cannot_be_had_is_refused_with_its_status_and_reason(
    api: httpx.AsyncClient, rig: Rig, body: dict[str, Any], status: int, said: str
) -> None:
    answer = await api.post("/v2/serverless", json=body)
    assert answer.status_code == status
    problem = answer.json()
    assert said in " ".join([problem["detail"], *problem.get("errors", ())])
    assert rig.world.endpoints == {}


async def test_the_vllm_workers_tags_begin_with_v(api: httpx.AsyncClient) -> None:
    """``:2.25.2`` is a tag that does not exist; ``:v2.25.2`` does."""
    answer = await api.post("/v2/serverless", json=QUEUE | {"image": "runpod/worker-v1-vllm:2.25.2"})
    assert answer.status_code == 422


async def test_a_template_is_copied_once_and_the_body_wins_and_env_merges(api: httpx.AsyncClient) -> None:
    template = (
        await api.post(
            "/v2/templates",
            json={
                "name": "t",
                "image": "registry.example/a:1",
                "serverless": True,
                "disk": 40,
                "args": "--a",
                "ports": ["80/http"],
                "env": {"A": "1", "B": "1"},
                "allowedCudaVersions": ["12.8"],
            },
        )
    ).json()
    made = (
        await api.post(
            "/v2/serverless",
            json=without("image") | {"templateId": template["id"], "disk": 50, "env": {"B": "2", "C": "2"}},
        )
    ).json()
    assert (made["image"], made["disk"], made["args"], made["ports"]) == (
        "registry.example/a:1",
        50,
        "--a",
        ["80/http"],
    )
    assert made["env"] == {"A": "1", "B": "2", "C": "2"}
    assert made["gpu"]["allowedCudaVersions"] == ["12.8"]
    await api.patch(f"/v2/templates/{template['id']}", json={"image": "registry.example/a:2"})
    assert (await api.get(f"/v2/serverless/{made['id']}")).json()["image"] == "registry.example/a:1"


async def test_a_templates_cuda_versions_do_not_stand_beside_a_floor(api: httpx.AsyncClient) -> None:
    body = without("image") | {"templateId": "serverless-vllm"}
    seeded = (await api.post("/v2/serverless", json=body)).json()["gpu"]
    assert (seeded["allowedCudaVersions"], seeded["minCudaVersion"]) == (["13.0"], None)
    floor = body | {"gpu": {"pools": ["ADA_24"], "minCudaVersion": "12.8"}}
    made = (await api.post("/v2/serverless", json=floor)).json()["gpu"]
    assert (made["allowedCudaVersions"], made["minCudaVersion"]) == ([], "12.8")


async def test_a_patch_replaces_env_as_a_whole(api: httpx.AsyncClient) -> None:
    made = await make(api, env={"A": "1", "B": "1"})
    path = f"/v2/serverless/{made['id']}"
    assert (await api.patch(path, json={"disk": 30})).json()["env"] == {"A": "1", "B": "1"}
    assert (await api.patch(path, json={"env": {"C": "2"}})).json()["env"] == {"C": "2"}


async def test_a_patch_with_pools_alone_clears_the_exclusions(api: httpx.AsyncClient) -> None:
    made = await make(api, gpu={"pools": ["ADA_80_PRO"], "excludedTypes": ["NVIDIA H100 NVL"]})
    path = f"/v2/serverless/{made['id']}"
    kept = (await api.patch(path, json={"gpu": {"count": 2}})).json()["gpu"]
    assert (kept["excludedTypes"], kept["count"]) == (["NVIDIA H100 NVL"], 2)
    assert "excludedTypes" not in (await api.patch(path, json={"gpu": {"pools": ["ADA_80_PRO"]}})).json()["gpu"]


async def test_setting_one_cuda_form_does_not_clear_the_other_and_empty_values_clear(api: httpx.AsyncClient) -> None:
    made = await make(api, gpu={"pools": ["ADA_24"], "allowedCudaVersions": ["12.8"]})
    path = f"/v2/serverless/{made['id']}"
    both = (await api.patch(path, json={"gpu": {"minCudaVersion": "12.4"}})).json()["gpu"]
    assert (both["allowedCudaVersions"], both["minCudaVersion"]) == (["12.8"], "12.4")
    sets = (await api.patch(path, json={"gpu": {"minCudaVersion": ""}})).json()["gpu"]
    assert (sets["allowedCudaVersions"], sets["minCudaVersion"]) == (["12.8"], None)
    assert (await api.patch(path, json={"gpu": {"allowedCudaVersions": []}})).json()["gpu"]["allowedCudaVersions"] == []


async def test_an_exclusion_needs_its_pools(api: httpx.AsyncClient) -> None:
    made = await make(api)
    answer = await api.patch(f"/v2/serverless/{made['id']}", json={"gpu": {"excludedTypes": ["NVIDIA L4"]}})
    assert answer.status_code == 422
    assert answer.json()["errors"] == ["$.gpu: properties 'pools' required, if 'excludedTypes' exists"]


@pytest.mark.parametrize("name", ["modelReferences", "workersStandby", "templateid", "gpuTypeIds"])
async def test_fields_of_the_older_apis_are_refused(api: httpx.AsyncClient, name: str) -> None:
    """Cached models, standby workers and v1's names have no field here: they are not ignored, they are 422."""
    answer = await api.post("/v2/serverless", json=QUEUE | {name: []})
    assert answer.json()["errors"] == [f"$: additional properties '{name}' not allowed"]


async def test_type_and_family_never_change(api: httpx.AsyncClient) -> None:
    queue = await make(api)
    balanced = (await api.post("/v2/serverless", json=BALANCED)).json()
    on_queue, on_balanced = f"/v2/serverless/{queue['id']}", f"/v2/serverless/{balanced['id']}"
    typed = await api.patch(on_queue, json={"type": "LOAD_BALANCER"})
    assert (typed.status_code, typed.json()["errors"]) == (422, ["$: additional properties 'type' not allowed"])
    assert (await api.patch(on_queue, json=CPU)).status_code == 400
    assert (await api.patch(on_balanced, json={"gpu": {"pools": ["ADA_24"]}})).status_code == 400
    both = await api.patch(on_queue, json={"gpu": {"count": 2}} | CPU)
    assert both.status_code == 400
    delayed = await api.patch(on_balanced, json={"scaling": {"type": "QUEUE_DELAY", "queueDelay": 4}})
    assert delayed.status_code == 422


async def test_a_patch_changes_all_that_is_sent(api: httpx.AsyncClient, rig: Rig) -> None:
    made = (await api.post("/v2/serverless", json=BALANCED)).json()
    registry = (await api.post("/v2/registries", json={"name": "r", "username": "u", "password": "p"})).json()
    body = {
        "name": "n",
        "image": "registry.example/flows:2",
        "args": "--x",
        "disk": 10,
        "ports": ["9000/http"],
        "registry": registry["id"],
        "cpu": [{"id": "cpu5c", "vcpuCount": 2}],
        "workers": {"min": 1, "max": 4, "idleTimeout": 60},
        "scaling": {"type": "REQUEST_COUNT", "requestCount": 9},
        "timeout": 330_000,
        "flashboot": "FLASHBOOT",
        "dataCenterIds": ["EU-RO-1"],
    }
    changed = (await api.patch(f"/v2/serverless/{made['id']}", json=body)).json()
    body["cpu"] = [{"id": "cpu5c", "vcpuCount": 2, "memory": 4}]
    assert {name: changed[name] for name in body} == body
    assert rig.endpoint(made["id"]).config.timeout_ms == 330_000


async def test_switching_the_scaler_and_the_idle_timeout_at_once_is_refused(api: httpx.AsyncClient) -> None:
    path = f"/v2/serverless/{(await make(api))['id']}"
    scaling = {"type": "REQUEST_COUNT", "requestCount": 2}
    assert (await api.patch(path, json={"scaling": scaling, "workers": {"idleTimeout": 5}})).status_code == 422
    assert (await api.patch(path, json={"scaling": scaling})).json()["workers"] == {"min": 0, "max": 3}
    assert (await api.patch(path, json={"workers": {"idleTimeout": 5}})).status_code == 422


async def test_a_patch_with_a_template_takes_its_container_and_replaces_env(api: httpx.AsyncClient) -> None:
    made = await make(api, env={"OLD": "1"})
    body = {"templateId": "serverless-vllm", "env": {"MODEL_NAME": "m"}, "image": "registry.example/a:1"}
    changed = (await api.patch(f"/v2/serverless/{made['id']}", json=body)).json()
    assert (changed["image"], changed["disk"]) == ("registry.example/a:1", 150)
    assert changed["env"] == {"GPU_MEMORY_UTILIZATION": "0.95", "ENABLE_PREFIX_CACHING": "false", "MODEL_NAME": "m"}


async def test_what_no_machine_offers_is_taken_without_a_word(api: httpx.AsyncClient) -> None:
    """A CUDA floor that no host reaches, a name that nothing reads, ports that nothing listens on: all 201."""
    made = await make(
        api,
        gpu={"pools": ["ADA_24"], "minCudaVersion": "99.0"},
        env={"HUGGING_FACE_HUB_MODEL_ID": "org/model"},
        ports=["1/http"],
    )
    assert made["gpu"]["minCudaVersion"] == "99.0"
