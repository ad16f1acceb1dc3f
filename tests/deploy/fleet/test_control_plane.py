"""Each call of REST v2 that the fleet makes."""

import pytest

from deploy.emulator.control_plane.paging import Edition
from deploy.fleet.calls import Calls
from deploy.fleet.control_plane import ControlPlane
from deploy.fleet.errors import ControlPlaneUnreadable
from tests.deploy.emulator.control_plane.rig import QUEUE, Rig
from tests.deploy.fleet.planes import Plane, endpoint, problem


async def test_a_list_comes_whole_over_its_pages_and_each_item_once() -> None:
    """An endpoint that was made between two pages moves the others on, and one of them is told twice."""
    first = {"endpoints": [endpoint(endpoint_id="a"), endpoint(endpoint_id="b")]}
    second = {"endpoints": [endpoint(endpoint_id="b"), endpoint(endpoint_id="c")]}
    plane = Plane(
        (200, {**first, "pagination": {"nextCursor": "after b", "hasNextPage": True}}),
        (200, {**second, "pagination": {"nextCursor": None, "hasNextPage": False}}),
        page=2,
    )
    assert [one.id for one in await plane.plane.endpoints()] == ["a", "b", "c"]
    assert [path for _, path, _ in plane.script.asked] == [
        "/v2/serverless?limit=2",
        "/v2/serverless?limit=2&cursor=after+b",
    ]


async def test_a_list_without_pages_is_whole() -> None:
    assert len(await Plane((200, {"endpoints": [endpoint()]})).plane.endpoints()) == 1


@pytest.mark.parametrize("told", [[], {}, {"endpoints": 1}, {"endpoints": [{"id": 1}]}])
async def test_a_list_of_another_form_is_told(told: object) -> None:
    with pytest.raises(ControlPlaneUnreadable):
        await Plane((200, told)).plane.endpoints()


async def test_pages_have_an_end() -> None:
    more = (200, {"endpoints": [], "pagination": {"nextCursor": "x", "hasNextPage": True}})
    with pytest.raises(ControlPlaneUnreadable, match="more than 100 pages"):
        await Plane(*[more] * 100).plane.endpoints()


async def test_endpoints_are_made_changed_and_ended() -> None:
    plane = Plane((201, endpoint()), (200, endpoint(timeout=5)), (200, endpoint()), (204, None), problem(404, "gone"))
    assert (await plane.plane.create({"name": "a"})).id == "e1"
    assert (await plane.plane.update("e1", {"timeout": 5})).fields["timeout"] == 5
    await plane.plane.endpoint("e1")
    await plane.plane.delete("e1")
    await plane.plane.delete("e1")
    assert [(method, path) for method, path, _ in plane.script.asked] == [
        ("POST", "/v2/serverless"),
        ("PATCH", "/v2/serverless/e1"),
        ("GET", "/v2/serverless/e1"),
        ("DELETE", "/v2/serverless/e1"),
        ("DELETE", "/v2/serverless/e1"),
    ]


async def test_workers_health_releases_and_bills_are_read() -> None:
    plane = Plane(
        (200, {"workers": [{"id": "w", "status": "RUNNING"}], "summary": {"running": 1, "total": 1}}),
        (200, {"jobs": {"inQueue": 2}, "workers": {"ready": 1}}),
        (200, {"endpointVersion": 3, "rollout": {"inProgress": True}, "releases": [{"id": "r", "version": 3}]}),
        (200, {"records": [{"startTime": "a", "endTime": "b", "serverlessId": "e1", "totalAmount": 1.5}]}),
        (201, endpoint()),
    )
    assert (await plane.plane.workers("e1")).summary.running == 1
    plane.script.answers.insert(0, plane.script.answers.pop())
    one = await plane.plane.create({})
    health = await plane.plane.health(one)
    assert (health.jobs.in_queue, health.workers.ready, health.workers.idle) == (2, 1, 0)
    assert (await plane.plane.releases("e1")).rollout.in_progress
    [record] = await plane.plane.bill(start="a", endpoint_id="e1")
    assert record.total_amount == 1.5
    assert plane.script.asked[2][1] == "https://api.runpod.ai/v2/e1/health"
    assert "bucketSize=day" in plane.script.asked[-1][1]
    assert "endTime" not in plane.script.asked[-1][1]


async def test_logins_volumes_secrets_and_the_catalogue_are_read_and_made() -> None:
    volume = {"id": "v", "name": "models", "size": 50, "dataCenter": "EU-RO-1"}
    plane = Plane(
        (200, {"registries": [{"id": "r", "name": "hub"}]}),
        (201, {"id": "r", "name": "hub"}),
        (200, {"networkVolumes": [volume]}),
        (201, volume),
        (200, {**volume, "size": 60}),
        (200, {"secrets": [{"id": "s", "name": "hf"}]}),
        (201, {"id": "s", "name": "hf"}),
        problem(404, "no such path"),
        (200, {"gpus": [{"id": "NVIDIA L4", "pool": "AMPERE_24", "price": {"serverless": 0.68}}]}),
        (200, {"cpus": [{"id": "cpu3c", "price": {"serverlessPerVcpu": 0.03}}]}),
    )
    control = plane.plane
    assert [one.name for one in await control.registries()] == ["hub"]
    await control.create_registry(name="hub", username="me", password="secret")
    assert [one.data_center for one in await control.volumes()] == ["EU-RO-1"]
    await control.create_volume(name="models", size=50, data_center="EU-RO-1")
    assert (await control.grow_volume("v", size=60)).size == 60
    secrets = await control.secrets()
    assert secrets is not None
    assert secrets[0].name == "hf"
    await control.create_secret(name="hf", value="x")
    assert await control.secrets() is None
    assert (await control.gpus())[0].price.serverless == 0.68
    assert (await control.cpus())[0].price.serverless_per_vcpu == 0.03


@pytest.mark.parametrize("edition", ["2026-08", "2026-11"])
async def test_an_account_is_listed_whole_in_either_edition(edition: Edition) -> None:
    """With pages and without; the older one has no secrets."""
    rig = Rig(edition=edition)
    async with rig.in_memory() as client:
        plane = ControlPlane(Calls(client), client, url=str(client.base_url), page=2)
        made = [(await plane.create({**QUEUE, "name": f"n{number}", "workers": {"max": 1}})).id for number in range(5)]
        assert sorted(one.id for one in await plane.endpoints()) == sorted(made)
        assert (await plane.secrets() is None) == (edition == "2026-08")
        assert (await plane.gpus())[0].price.serverless
        assert (await plane.cpus())[0].price.serverless_per_vcpu
