from typing import Any

import httpx
import pytest

from deploy.emulator.model.faults import Faults
from tests.deploy.emulator.control_plane.rig import BALANCED, QUEUE, Rig

GPU_USD_PER_SECOND = 0.00031
DAY = 86400


async def bill(api: httpx.AsyncClient, path: str, **query: str) -> dict[str, Any]:
    answer: dict[str, Any] = (await api.get(path, params=query)).json()
    return answer


async def running(api: httpx.AsyncClient, rig: Rig, body: dict[str, Any], seconds: float) -> str:
    """An endpoint whose one worker has been up for so long."""
    made = (await api.post("/v2/serverless", json=body)).json()
    rig.world.set_faults(made["id"], Faults(pull_seconds=60, load_seconds=100), rig.clock.now())
    path = f"/v2/serverless/{made['id']}"
    await api.patch(path, json={"workers": {"min": 1, "max": 1}})
    rig.move(60 + seconds)
    id_: str = made["id"]
    return id_


async def test_a_worker_is_billed_from_its_containers_start_by_the_second(api: httpx.AsyncClient, rig: Rig) -> None:
    """The image pull is free; loading, working and idling cost the same."""
    id_ = await running(api, rig, QUEUE, 1800)
    told = await bill(api, "/v2/billing/serverless", bucketSize="hour", lastN="2")
    [record] = told["records"]
    assert record["gpuAmount"] == pytest.approx(1800 * GPU_USD_PER_SECOND)
    assert (record["serverlessId"], record["startTime"]) == (id_, "2026-11-22T12:00:00Z")
    assert record["endTime"] == "2026-11-22T13:00:00Z"
    assert record["totalAmount"] == pytest.approx(record["gpuAmount"] + record["diskAmount"])
    assert (record["cpuAmount"], record["feeAmount"]) == (0, 0)
    assert told["metadata"]["totals"]["totalAmount"] == record["totalAmount"]


async def test_buckets_of_any_size_add_up_to_the_same(api: httpx.AsyncClient, rig: Rig) -> None:
    await running(api, rig, QUEUE, 40 * 3600 + 17.2)
    totals = []
    for size in ("hour", "day", "week", "month", "year"):
        told = await bill(api, "/v2/billing/serverless", bucketSize=size, startTime="2026-11-01T00:00:00Z")
        summed = sum(record["gpuAmount"] for record in told["records"])
        assert told["metadata"]["totals"]["gpuAmount"] == pytest.approx(summed)
        totals.append(summed)
    assert totals == pytest.approx([(40 * 3600 + 18) * GPU_USD_PER_SECOND] * 5)


async def test_one_endpoint_can_be_asked_for_and_a_deleted_one_still_counts(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, rig: Rig
) -> None:
    first = await running(api, rig, QUEUE, 100)
    await api.delete(f"/v2/serverless/{first}")
    second = await running(api, rig, BALANCED, 100)
    told = await bill(api, "/v2/billing/serverless")
    assert {record["serverlessId"] for record in told["records"]} == {first, second}
    assert (told["metadata"]["uniqueServerlessCount"], told["metadata"]["recordCount"]) == (2, 2)
    one = await bill(api, "/v2/billing/serverless", serverlessId=first)
    assert [record["serverlessId"] for record in one["records"]] == [first]
    assert one["metadata"]["query"]["serverlessId"] == first
    cpu = await bill(api, "/v2/billing/serverless", serverlessId=second)
    assert cpu["records"][0]["gpuAmount"] == 0
    assert cpu["records"][0]["cpuAmount"] > 0
    assert (await bill(other_api, "/v2/billing/serverless"))["records"] == []


async def test_billing_endpoints_are_runpods_public_models_not_ones_own(api: httpx.AsyncClient, rig: Rig) -> None:
    await running(api, rig, QUEUE, 1800)
    told = await bill(api, "/v2/billing/endpoints")
    assert (told["records"], told["metadata"]["totals"]) == ([], {"totalAmount": 0})


@pytest.mark.parametrize("kind", ["pods", "clusters"])
async def test_there_are_no_bills_for_what_the_emulator_has_none_of(api: httpx.AsyncClient, kind: str) -> None:
    told = await bill(api, f"/v2/billing/{kind}", bucketSize="month")
    assert (told["records"], told["metadata"]["recordCount"]) == ([], 0)
    assert told["metadata"]["query"]["bucketSize"] == "month"


async def test_a_volume_costs_by_its_size_and_time(api: httpx.AsyncClient, rig: Rig) -> None:
    """0.07 dollars for a GB and month, 0.05 for each beyond the first terabyte; resized and deleted ones too."""
    body = {"name": "v", "size": 100, "dataCenter": "EU-RO-1"}
    volume = (await api.post("/v2/network-volumes", json=body)).json()
    path = f"/v2/network-volumes/{volume['id']}"
    rig.move(3 * DAY)
    await api.patch(path, json={"size": 2000})
    rig.move(3 * DAY)
    await api.delete(path)
    rig.move(3 * DAY)
    told = await bill(api, "/v2/billing/network-volumes", bucketSize="year")
    [record] = told["records"]
    assert record["standardAmount"] == pytest.approx((100 * 0.07 + 1000 * 0.07 + 1000 * 0.05) / 10)
    assert (record["highPerformanceAmount"], record["networkVolumeId"]) == (0, volume["id"])
    days = await bill(api, "/v2/billing/network-volumes", networkVolumeId=volume["id"])
    assert days["metadata"]["totals"]["totalAmount"] == pytest.approx(record["totalAmount"])
    assert len(days["records"]) == 7
    assert (await bill(api, "/v2/billing/network-volumes", networkVolumeId="none"))["records"] == []


async def test_the_dearer_tier_has_its_own_column(api: httpx.AsyncClient, rig: Rig) -> None:
    await api.post("/v2/network-volumes", json={"name": "v", "size": 100, "dataCenter": "US-KS-2"})
    rig.move(DAY)
    totals = (await bill(api, "/v2/billing/network-volumes"))["metadata"]["totals"]
    assert totals["standardAmount"] == 0
    assert totals["highPerformanceAmount"] == pytest.approx(100 * 0.14 / 30)


async def test_the_whole_bill_has_every_part_under_its_own_name(api: httpx.AsyncClient, rig: Rig) -> None:
    await api.post("/v2/network-volumes", json={"name": "v", "size": 100, "dataCenter": "EU-RO-1"})
    await running(api, rig, QUEUE, DAY)
    told = await bill(api, "/v2/billing")
    parts = [
        (await bill(api, f"/v2/billing/{kind}"))["metadata"]["totals"] for kind in ("serverless", "network-volumes")
    ]
    totals = told["metadata"]["totals"]
    assert totals["totalAmount"] == pytest.approx(parts[0]["totalAmount"] + parts[1]["totalAmount"])
    assert totals["serverlessGpuAmount"] == pytest.approx(parts[0]["gpuAmount"])
    assert totals["storageStandardAmount"] == pytest.approx(parts[1]["standardAmount"])
    assert [record["startTime"] for record in told["records"]] == ["2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"]


async def test_a_question_that_means_nothing_is_refused(api: httpx.AsyncClient) -> None:
    for kind in ("", "/pods", "/serverless", "/endpoints", "/network-volumes", "/clusters"):
        answer = await api.get(f"/v2/billing{kind}", params={"lastN": "2", "endTime": "2026-11-22T00:00:00Z"})
        assert answer.status_code == 400
