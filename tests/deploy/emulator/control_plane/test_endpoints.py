import httpx

from tests.deploy.emulator.control_plane.rig import BALANCED, QUEUE, Rig


async def test_create_answers_with_every_default_and_with_the_two_that_hurt(api: httpx.AsyncClient) -> None:
    """A create call that leaves ``timeout`` and ``flashboot`` out gets 0 and OFF."""
    answer = await api.post("/v2/serverless", json=QUEUE)
    assert answer.status_code == 201
    made = answer.json()
    base = f"http://127.0.0.1:9000/v2/{made['id']}"
    assert made == {
        "id": made["id"],
        "name": "route",
        "type": "QUEUE",
        "requestUrls": {
            "run": f"{base}/run",
            "runSync": f"{base}/runsync",
            "status": f"{base}/status/{{job_id}}",
            "stream": f"{base}/stream/{{job_id}}",
            "cancel": f"{base}/cancel/{{job_id}}",
            "retry": f"{base}/retry/{{job_id}}",
            "purgeQueue": f"{base}/purge-queue",
            "health": f"{base}/health",
        },
        "image": "runpod/worker-v1-vllm:v2.25.2",
        "args": "",
        "disk": 20,
        "ports": [],
        "env": {},
        "registry": None,
        "gpu": {"pools": ["ADA_24"], "count": 1, "allowedCudaVersions": [], "minCudaVersion": None},
        "workers": {"min": 0, "max": 3, "idleTimeout": 10},
        "scaling": {"type": "QUEUE_DELAY", "queueDelay": 4},
        "dataCenterIds": [],
        "networkVolumes": [],
        "timeout": 0,
        "flashboot": "OFF",
        "createdAt": "2026-11-22T12:00:00Z",
    }


async def test_a_load_balancer_has_its_own_urls_and_a_cpu_its_memory(api: httpx.AsyncClient) -> None:
    made = (await api.post("/v2/serverless", json=BALANCED)).json()
    assert made["requestUrls"] == {
        "base": f"http://127.0.0.1:9000/lb/{made['id']}",
        "health": f"http://127.0.0.1:9000/lb/{made['id']}/healthy",
    }
    assert made["cpu"] == [{"id": "cpu3c", "vcpuCount": 4, "memory": 8}]
    assert "gpu" not in made


async def test_an_endpoint_can_be_read_listed_changed_and_deleted(api: httpx.AsyncClient, rig: Rig) -> None:
    made = (await api.post("/v2/serverless", json=QUEUE)).json()
    path = f"/v2/serverless/{made['id']}"
    assert (await api.get(path)).json() == made
    assert (await api.get("/v2/serverless")).json()["endpoints"] == [made]
    changed = (await api.patch(path, json={"workers": {"max": 5}, "name": "renamed"})).json()
    assert changed == {**made, "workers": {"min": 0, "max": 5, "idleTimeout": 10}, "name": "renamed"}
    gone = await api.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await api.get(path)).status_code == 404
    assert rig.world.endpoints == {}


async def test_another_accounts_endpoint_is_not_there(api: httpx.AsyncClient, other_api: httpx.AsyncClient) -> None:
    path = f"/v2/serverless/{(await api.post('/v2/serverless', json=QUEUE)).json()['id']}"
    answers = [
        await other_api.get(path),
        await other_api.patch(path, json={}),
        await other_api.delete(path),
        await other_api.get(f"{path}/workers"),
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert (await other_api.get("/v2/serverless")).json()["endpoints"] == []


async def test_max_workers_over_the_accounts_quota_are_refused(api: httpx.AsyncClient, rig: Rig) -> None:
    """The quota counts max workers of all endpoints, whether they run or not."""
    rig.mine.quota_workers = 5
    made = (await api.post("/v2/serverless", json=QUEUE)).json()
    second = await api.post("/v2/serverless", json=QUEUE)
    assert second.status_code == 400
    assert "quota" in second.json()["detail"]
    path = f"/v2/serverless/{made['id']}"
    assert (await api.patch(path, json={"workers": {"max": 6}})).status_code == 400
    assert (await api.patch(path, json={"workers": {"max": 5}})).status_code == 200


async def test_pages_are_newest_first_and_meet_every_endpoint_once(api: httpx.AsyncClient) -> None:
    made = [(await api.post("/v2/serverless", json=QUEUE | {"name": f"e{n}"})).json()["name"] for n in range(5)]
    seen: list[str] = []
    query: dict[str, str] = {"limit": "2"}
    while True:
        answer = (await api.get("/v2/serverless", params=query)).json()
        seen += [endpoint["name"] for endpoint in answer["endpoints"]]
        if not answer["pagination"]["hasNextPage"]:
            break
        query["cursor"] = answer["pagination"]["nextCursor"]
    assert seen == made[::-1]
    assert answer["pagination"]["nextCursor"] is None


async def test_augusts_list_has_no_pages_and_ignores_that_they_are_asked_for() -> None:
    rig = Rig(edition="2026-08")
    async with rig.in_memory() as api:
        for number in range(3):
            await api.post("/v2/serverless", json=QUEUE | {"name": f"e{number}"})
        answer = (await api.get("/v2/serverless", params={"limit": "1"})).json()
    assert [endpoint["name"] for endpoint in answer["endpoints"]] == ["e0", "e1", "e2"]
    assert "pagination" not in answer


async def test_minimum_workers_start_at_once(api: httpx.AsyncClient, rig: Rig) -> None:
    made = (await api.post("/v2/serverless", json=QUEUE | {"workers": {"min": 2}})).json()
    assert len(rig.endpoint(made["id"]).workers) == 2


async def test_deleting_ends_workers_and_jobs_and_the_template_that_goes_with_it(
    api: httpx.AsyncClient, rig: Rig
) -> None:
    made = (await api.post("/v2/serverless", json=QUEUE | {"workers": {"min": 1}})).json()
    [template] = (await api.get("/v2/templates")).json()["templates"]
    assert template["serverless"] is True
    job = rig.world.submit(made["id"], {"prompt": "hi"}, rig.clock.now())
    await api.delete(f"/v2/serverless/{made['id']}")
    assert job.status == "CANCELLED"
    assert (await api.get("/v2/templates")).json()["templates"] == []


async def test_an_endpoint_that_nobody_asks_is_cut_after_three_and_seven_days_until_it_is_raised(
    api: httpx.AsyncClient, rig: Rig
) -> None:
    """Runpod takes workers away from an idle endpoint without a release; only a higher maximum brings them back."""
    made = (await api.post("/v2/serverless", json=QUEUE)).json()
    path = f"/v2/serverless/{made['id']}"
    rig.move(3 * 86400 + 1)
    assert (await api.get(path)).json()["workers"]["max"] == 2
    rig.move(4 * 86400)
    assert (await api.get(path)).json()["workers"]["max"] == 0
    rig.world.submit(made["id"], {"prompt": "hi"}, rig.clock.now())
    rig.move(3600)
    assert (await api.get(f"{path}/workers")).json()["summary"]["total"] == 0
    assert (await api.get(f"{path}/releases")).json()["endpointVersion"] == 1
    assert (await api.patch(path, json={"workers": {"max": 3}})).json()["workers"]["max"] == 3
    rig.move(1)
    assert (await api.get(f"{path}/workers")).json()["summary"]["total"] == 1
    rig.move(86400)
    assert (await api.get(path)).json()["workers"]["max"] == 3


async def test_the_idle_timeout_is_left_out_where_it_does_not_apply(api: httpx.AsyncClient) -> None:
    made = (
        await api.post("/v2/serverless", json=QUEUE | {"scaling": {"type": "REQUEST_COUNT", "requestCount": 2}})
    ).json()
    assert made["workers"] == {"min": 0, "max": 3}
    assert made["scaling"] == {"type": "REQUEST_COUNT", "requestCount": 2}


async def test_exclusions_are_told_where_there_are_any(api: httpx.AsyncClient) -> None:
    gpu = {"pools": ["ADA_80_PRO"], "excludedTypes": [" NVIDIA H100 NVL"]}
    made = (await api.post("/v2/serverless", json=QUEUE | {"gpu": gpu})).json()
    assert made["gpu"]["excludedTypes"] == ["NVIDIA H100 NVL"]
