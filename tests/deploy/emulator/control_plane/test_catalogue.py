from typing import Any

import httpx
import pytest

from tests.deploy.emulator.control_plane.rig import Rig

RTX_4090 = "/v2/catalog/gpus/NVIDIA GeForce RTX 4090"
STOCK = {"include": "AVAILABILITY", "product": "SERVERLESS"}


async def by_id(api: httpx.AsyncClient, **query: str) -> dict[str, dict[str, Any]]:
    cards = (await api.get("/v2/catalog/gpus", params=query)).json()["gpus"]
    return {card["id"]: card for card in cards}


async def test_gpus_have_their_pool_memory_and_serverless_price_per_hour(api: httpx.AsyncClient) -> None:
    cards = await by_id(api)
    assert cards["NVIDIA GeForce RTX 4090"] == {
        "id": "NVIDIA GeForce RTX 4090",
        "name": "RTX 4090",
        "pool": "ADA_24",
        "manufacturer": "NVIDIA",
        "memory": 24,
        "secure": True,
        "community": True,
        "price": {"secure": 1.116, "community": 1.116, "serverless": 1.116},
        "maxCount": {"secure": 8, "community": 8},
    }
    assert {card["pool"] for card in cards.values()} >= {"AMPERE_80", "ADA_80_PRO", "ADA_24"}
    assert (await api.get(RTX_4090)).json() == cards["NVIDIA GeForce RTX 4090"]
    assert (await api.get("/v2/catalog/gpus/NVIDIA GTX 1")).status_code == 404


async def test_stock_is_told_where_it_is_asked_for(api: httpx.AsyncClient, rig: Rig) -> None:
    rig.stock.sold_out.add(("ADA_24", "EU-RO-1"))
    card = (await api.get(RTX_4090, params=STOCK)).json()
    assert card["availability"] == "HIGH"
    assert [place["id"] for place in card["dataCenters"]] == ["EU-SE-1", "US-TX-3", "US-KS-2"]
    assert card["cudaVersions"][-1] == {"version": "13.0", "available": True}
    rig.stock.sold_out.add(("ADA_24", "*"))
    card = (await api.get(RTX_4090, params=STOCK)).json()
    assert (card["availability"], "dataCenters" in card) == ("NONE", False)
    assert not any(version["available"] for version in card["cudaVersions"])


async def test_cuda_filters_narrow_the_versions(api: httpx.AsyncClient) -> None:
    async def versions(**query: str) -> list[str]:
        card = (await api.get(RTX_4090, params=STOCK | query)).json()
        return [version["version"] for version in card["cudaVersions"]]

    assert await versions(cudaVersions="12.8,12.9") == ["12.8"]
    assert await versions(minCudaVersion="12.6") == ["12.6", "12.8", "13.0"]
    assert await versions(minCudaVersion="13") == ["13.0"]
    card = (await api.get(RTX_4090, params=STOCK | {"cudaVersions": "12.11"})).json()
    assert (card["availability"], card["cudaVersions"]) == ("NONE", [])


async def test_countries_narrow_the_list_but_never_hide_one_gpu(api: httpx.AsyncClient, rig: Rig) -> None:
    rig.stock.sold_out.add(("ADA_24", "EU-RO-1"))
    cards = await by_id(api, **STOCK, countryCodes="RO")
    assert "NVIDIA GeForce RTX 4090" not in cards
    assert [place["id"] for place in cards["NVIDIA L4"]["dataCenters"]] == ["EU-RO-1"]
    alone = (await api.get(RTX_4090, params=STOCK | {"countryCodes": "RO"})).json()
    assert (alone["availability"], "dataCenters" in alone) == ("NONE", False)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"include": "AVAILABILITY"}, 400),
        ({"product": "SERVERLESS"}, 400),
        ({"count": "2"}, 400),
        ({"countryCodes": "RO"}, 400),
        (STOCK | {"cudaVersions": "12.8", "minCudaVersion": "12"}, 400),
        ({"include": "PRICES"}, 422),
        (STOCK | {"product": "TOASTER"}, 422),
        (STOCK | {"count": "0"}, 422),
        (STOCK | {"cloud": "PRIVATE"}, 422),
        (STOCK | {"countryCodes": "ro"}, 422),
        (STOCK | {"cudaVersions": "13"}, 422),
        (STOCK | {"minCudaVersion": "new"}, 422),
    ],
)
async def test_a_question_about_gpus_that_means_nothing_is_refused(
    api: httpx.AsyncClient, query: dict[str, str], status: int
) -> None:
    assert (await api.get("/v2/catalog/gpus", params=query)).status_code == status
    assert (await api.get(RTX_4090, params=query)).status_code == status


async def test_a_parameter_that_is_not_known_is_ignored(api: httpx.AsyncClient) -> None:
    assert (await api.get("/v2/catalog/gpus", params={"gpuTypeId": "x"})).status_code == 200


async def test_cpus_have_a_price_and_memory_per_vcpu(api: httpx.AsyncClient, rig: Rig) -> None:
    cpus = {cpu["id"]: cpu for cpu in (await api.get("/v2/catalog/cpus")).json()["cpus"]}
    assert cpus["cpu3c"] == {
        "id": "cpu3c",
        "name": "Compute-Optimized",
        "group": "Gen 3",
        "vcpu": {"min": 2, "max": 32},
        "ramGbPerVcpu": 2,
        "price": {"securePerVcpu": 0.03, "serverlessPerVcpu": 0.03},
    }
    rig.stock.sold_out.add(("cpu3c", "*"))
    one = (await api.get("/v2/catalog/cpus/cpu3c", params=STOCK | {"vcpuCount": "4"})).json()
    assert (one["availability"], "dataCenters" in one) == ("NONE", False)
    assert (await api.get("/v2/catalog/cpus/cpu9z")).status_code == 404


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"include": "AVAILABILITY"}, 400),
        ({"vcpuCount": "4"}, 400),
        (STOCK | {"vcpuCount": "6"}, 400),
        (STOCK | {"vcpuCount": "1"}, 422),
        (STOCK | {"product": "CLUSTER"}, 422),
    ],
)
async def test_a_question_about_cpus_that_means_nothing_is_refused(
    api: httpx.AsyncClient, query: dict[str, str], status: int
) -> None:
    assert (await api.get("/v2/catalog/cpus", params=query)).status_code == status
