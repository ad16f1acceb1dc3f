import httpx
import pytest

from tests.deploy.emulator.control_plane.rig import Rig

PATH = "/v2/catalog/datacenters"


async def test_a_data_center_says_what_it_has(api: httpx.AsyncClient) -> None:
    assert (await api.get(f"{PATH}/EU-RO-1")).json() == {
        "id": "EU-RO-1",
        "name": "Romania 1",
        "region": "EUROPE",
        "globalNetwork": True,
        "networkVolumeTypes": ["STANDARD", "HIGH_PERFORMANCE"],
        "compliance": ["GDPR", "SOC_2_TYPE_2"],
    }
    assert (await api.get(f"{PATH}/MARS-1")).status_code == 404


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["EU-RO-1", "EU-SE-1", "US-TX-3", "US-KS-2"]),
        ({"regions": "EUROPE,ASIA"}, ["EU-RO-1", "EU-SE-1"]),
        ({"networkVolumeTypes": "STANDARD,HIGH_PERFORMANCE"}, ["EU-RO-1", "US-KS-2"]),
        ({"compliance": "GDPR,SOC_2_TYPE_2"}, ["EU-RO-1", "EU-SE-1"]),
        ({"globalNetwork": "false"}, ["EU-SE-1"]),
        ({"globalNetwork": "true", "regions": "NORTH_AMERICA"}, ["US-TX-3", "US-KS-2"]),
    ],
)
async def test_filters_combine(api: httpx.AsyncClient, query: dict[str, str], found: list[str]) -> None:
    places = (await api.get(PATH, params=query)).json()["dataCenters"]
    assert [place["id"] for place in places] == found


async def test_stock_is_told_where_it_is_asked_for(api: httpx.AsyncClient, rig: Rig) -> None:
    rig.stock.sold_out |= {("ADA_24", "EU-RO-1"), ("cpu3c", "*")}
    place = (await api.get(f"{PATH}/EU-RO-1", params={"include": "GPU_AVAILABILITY,CPU_AVAILABILITY"})).json()
    levels = {one["id"]: one["availability"] for one in place["gpuAvailability"] + place["cpuAvailability"]}
    assert levels["NVIDIA GeForce RTX 4090"] == "NONE"
    assert levels["NVIDIA L4"] == "HIGH"
    assert (levels["cpu3c"], levels["cpu5c"]) == ("NONE", "HIGH")


@pytest.mark.parametrize("query", [{"regions": "MOON"}, {"globalNetwork": "yes"}, {"include": "AVAILABILITY"}])
async def test_a_word_that_is_not_known_is_a_422(api: httpx.AsyncClient, query: dict[str, str]) -> None:
    assert (await api.get(PATH, params=query)).status_code == 422
