from typing import Any

import httpx
import pytest

from tests.deploy.emulator.control_plane.rig import BALANCED, QUEUE, Rig


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gpu": {"pools": ["ADA_99"]}}, "gpu pool 'ADA_99' does not exist"),
        (
            {"gpu": {"pools": ["ADA_24"], "excludedTypes": ["NVIDIA L4"]}},
            "'NVIDIA L4' is not a GPU type in one of the selected pools",
        ),
        ({"gpu": {"pools": ["ADA_24"], "excludedTypes": ["NVIDIA GeForce RTX 4090"]}}, "leaves no GPU type"),
        (
            {"gpu": {"pools": ["ADA_24"], "minCudaVersion": "12.4", "allowedCudaVersions": ["12.8"]}},
            "mutually exclusive",
        ),
        ({"dataCenterIds": ["MARS-1"]}, "data center 'MARS-1' does not exist"),
        ({"networkVolumes": ["none"]}, "network volume 'none' does not exist"),
    ],
)
async def test_a_gpu_endpoint_that_cannot_be_placed_is_a_400(
    api: httpx.AsyncClient, changes: dict[str, Any], said: str
) -> None:
    answer = await api.post("/v2/serverless", json=QUEUE | changes)
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    ("cpu", "said"),
    [
        ([{"id": "cpu9z", "vcpuCount": 2}], "does not exist"),
        ([{"id": "cpu3c", "vcpuCount": 6}], "power of two"),
        ([{"id": "cpu3c", "vcpuCount": 64}], "from 2 to 32"),
    ],
)
async def test_a_cpu_that_there_is_not_is_a_400(api: httpx.AsyncClient, cpu: list[Any], said: str) -> None:
    answer = await api.post("/v2/serverless", json=BALANCED | {"cpu": cpu})
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


async def test_a_cpu_workers_disk_is_bounded_by_its_vcpus(api: httpx.AsyncClient) -> None:
    assert (await api.post("/v2/serverless", json=BALANCED | {"disk": 40})).status_code == 201
    answer = await api.post("/v2/serverless", json=BALANCED | {"disk": 41})
    assert (answer.status_code, answer.json()["detail"]) == (400, "disk must not exceed 40 GB for cpu3c with 4 vCPUs")


async def test_an_empty_set_of_cuda_versions_may_stand_beside_a_floor(api: httpx.AsyncClient) -> None:
    gpu = {"pools": ["ADA_24"], "minCudaVersion": "12.4", "allowedCudaVersions": []}
    assert (await api.post("/v2/serverless", json=QUEUE | {"gpu": gpu})).status_code == 201


async def test_a_pinned_data_center_without_stock_refuses_and_an_unpinned_endpoint_does_not(
    api: httpx.AsyncClient, rig: Rig
) -> None:
    rig.stock.sold_out.add(("ADA_24", "EU-RO-1"))
    refused = await api.post("/v2/serverless", json=QUEUE | {"dataCenterIds": ["EU-RO-1"]})
    assert refused.status_code == 400
    assert "no longer any instances available" in refused.json()["detail"]
    assert (await api.post("/v2/serverless", json=QUEUE | {"dataCenterIds": ["EU-RO-1", "US-TX-3"]})).status_code == 201
    made = await api.post("/v2/serverless", json=QUEUE)
    assert made.status_code == 201
    path = f"/v2/serverless/{made.json()['id']}"
    assert (await api.patch(path, json={"dataCenterIds": ["EU-RO-1"]})).status_code == 400


async def test_a_volume_pins_its_data_center(api: httpx.AsyncClient, rig: Rig) -> None:
    volume = (await api.post("/v2/network-volumes", json={"name": "v", "size": 50, "dataCenter": "EU-RO-1"})).json()
    made = (await api.post("/v2/serverless", json=QUEUE | {"networkVolumes": [volume["id"]]})).json()
    assert (made["networkVolumes"], made["dataCenterIds"]) == ([volume["id"]], ["EU-RO-1"])
    elsewhere = QUEUE | {"networkVolumes": [volume["id"]], "dataCenterIds": ["US-TX-3"]}
    answer = await api.post("/v2/serverless", json=elsewhere)
    assert (answer.status_code, "is not in one of" in answer.json()["detail"]) == (400, True)
    rig.stock.sold_out.add(("ADA_24", "EU-RO-1"))
    assert (await api.post("/v2/serverless", json=QUEUE | {"networkVolumes": [volume["id"]]})).status_code == 400
