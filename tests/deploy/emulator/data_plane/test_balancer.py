"""Load-balancing endpoints."""

from dataclasses import replace

import httpx
import pytest

from deploy.emulator.data_plane.balancer import Affinity
from deploy.emulator.model.faults import Faults
from deploy.emulator.model.worker import WorkerState
from tests.deploy.emulator.running import CHAT, INSTANT, running, until

pytestmark = pytest.mark.integration

PATH = "v1/chat/completions"
WORKER = "x-runpod-worker-id"


@pytest.mark.parametrize(
    ("header", "affinity"),
    [
        ("", Affinity()),
        ("abc", Affinity(worker_id="abc")),
        ("strict abc", Affinity(worker_id="abc", strict=True)),
        ("strict-resume abc", Affinity(worker_id="abc", strict=True, resume=True)),
    ],
)
def test_the_affinity_header_has_three_forms(header: str, affinity: Affinity) -> None:
    assert Affinity.parse(header) == affinity


async def test_any_path_reaches_a_worker_and_the_answer_names_it() -> None:
    async with running() as here:
        endpoint = here.balanced()
        answer = await here.post(endpoint, PATH, CHAT)
        assert answer.json()["object"] == "chat.completion"
        assert answer.headers[WORKER] in endpoint.workers
        assert (await here.get(endpoint, "ping?x=1")).status_code == 200
        assert (await here.get(endpoint, "nowhere")).json() == {"detail": "Not Found"}
        assert endpoint.in_progress == 0


async def test_it_has_a_host_of_its_own() -> None:
    async with running() as here:
        endpoint = here.balanced()
        headers = {"host": f"{endpoint.id}.api.runpod.ai"}
        answer = await here.client.get(f"{here.emulator.origin}/v1/models", headers=headers)
        assert answer.json()["data"][0]["id"] == "router"


async def test_a_stream_is_true_sse() -> None:
    async with running() as here:
        endpoint = here.balanced()
        answer = await here.post(endpoint, PATH, CHAT | {"stream": True})
        assert answer.text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        ("timed_out", {"status": 400, "title": "Bad Request", "detail": "timed out waiting for worker"}),
        ("no_workers", {"error": "no workers available"}),
    ],
)
async def test_a_cold_start_over_two_minutes_is_http_400(shape: str, body: dict[str, object]) -> None:
    async with running(speed=1000) as here:
        endpoint = here.balanced(Faults(pull_seconds=0.0, load_seconds=150.0, cold_body=shape))  # type: ignore[arg-type]
        cold = await here.post(endpoint, PATH, CHAT)
        assert (cold.status_code, cold.json()) == (400, body)
        assert endpoint.waiting == 0
        assert (await here.post(endpoint, PATH, CHAT)).status_code == 200, "a retry finds the worker"


async def test_workers_on_wrong_ports_are_502() -> None:
    async with running() as here:
        endpoint = here.balanced(ports=())
        assert (await here.post(endpoint, PATH, CHAT)).status_code == 502
        health = (await here.get(endpoint, "health")).json()["workers"]
        assert (health["running"], health["ready"]) == (1, 0)


async def test_processing_over_five_and_a_half_minutes_is_524() -> None:
    """A generator's minutes are those of its tokens: a prompt that takes 400 seconds to read."""
    async with running(speed=2000) as here:
        endpoint = here.balanced(env=ENV | {"MAX_MODEL_LEN": "9000000"})
        long = {"model": "router", "prompt": "x" * 4 * 2_400_000}
        answer = await here.client.post(here.url(endpoint, "v1/completions"), json=long)
        assert answer.status_code == 524
        assert endpoint.in_progress == 0


ENV = {"PORT": "8000", "PORT_HEALTH": "8000", "OPENAI_SERVED_MODEL_NAME_OVERRIDE": "router"}


async def test_bodies_over_thirty_megabytes_are_refused() -> None:
    async with running() as here:
        endpoint = here.balanced()
        answer = await here.client.post(here.url(endpoint, PATH), content=b"x" * 30_000_001)
        assert answer.status_code == 413


async def test_an_engines_error_is_its_own_status() -> None:
    async with running() as here:
        endpoint = here.balanced(Faults(pull_seconds=0.0, load_seconds=0.0, engine_status=500))
        answer = await here.post(endpoint, PATH, CHAT)
        assert (answer.status_code, answer.json()["error"]["type"]) == (500, "InternalServerError")


async def test_a_cut_stream_breaks_the_connection() -> None:
    async with running() as here:
        endpoint = here.balanced(Faults(pull_seconds=0.0, load_seconds=0.0, cut_after=3))
        with pytest.raises(httpx.RemoteProtocolError):
            await here.post(endpoint, PATH, CHAT | {"stream": True})
        endpoint.faults = Faults(cut_after=0)
        assert (await here.post(endpoint, PATH, CHAT | {"stream": True})).status_code == 502


async def test_a_client_that_leaves_frees_its_worker() -> None:
    async with running(speed=5) as here:
        endpoint = here.balanced()
        async with here.client.stream("POST", here.url(endpoint, PATH), json=CHAT | {"stream": True}) as stream:
            await anext(stream.aiter_bytes())
            assert endpoint.in_progress == 1
        await until(lambda: not endpoint.in_progress)


async def test_soft_affinity_takes_the_worker_if_it_is_there() -> None:
    async with running() as here:
        endpoint = here.balanced(workers_min=2)
        await until(lambda: endpoint.health()["workers"]["ready"] == 2)
        for worker_id in list(endpoint.workers) * 2:
            answer = await here.get(endpoint, "ping", headers={WORKER: worker_id})
            assert answer.headers[WORKER] == worker_id
        answer = await here.get(endpoint, "ping", headers={WORKER: "gone"})
        assert answer.headers[WORKER] in endpoint.workers


async def test_strict_affinity_takes_no_other() -> None:
    """A scaled-down worker is revived for it, although another one is free."""
    async with running(speed=1000) as here:
        endpoint = here.balanced(workers_min=2, idle_timeout_seconds=5, flashboot="FLASHBOOT")
        gone = await here.get(endpoint, "ping", headers={WORKER: "strict other"})
        assert (gone.status_code, gone.json()) == (404, {"error": "affinity_worker_gone"})
        await until(lambda: endpoint.health()["workers"]["ready"] == 2)
        settings = replace(endpoint.config, workers_min=1)
        here.world.update_endpoint(endpoint.id, settings, here.emulator.clock.now())
        await until(lambda: bool(endpoint.in_state(WorkerState.IDLE)))
        [worker] = endpoint.in_state(WorkerState.IDLE)
        resumed = await here.get(endpoint, "ping", headers={WORKER: f"strict-resume {worker.id}"})
        assert (resumed.status_code, resumed.headers[WORKER]) == (200, worker.id)


async def test_strict_affinity_waits_for_five_minutes() -> None:
    async with running(speed=2000) as here:
        endpoint = here.balanced(Faults(crash_loop=True, pull_seconds=0.0, load_seconds=1.0), workers_min=1)
        [worker_id] = endpoint.workers
        began = here.emulator.clock.now()
        answer = await here.get(endpoint, "ping", headers={WORKER: f"strict {worker_id}"})
        assert answer.status_code == 400
        assert here.emulator.clock.now() - began >= 300


async def test_a_worker_without_an_engine_is_a_bad_gateway() -> None:
    async with running() as here:
        endpoint = here.balanced(INSTANT, workers_min=1)
        await here.get(endpoint, "ping")
        [worker] = endpoint.workers.values()
        worker.started_at = 1.0
        assert (await here.get(endpoint, "ping")).status_code == 502
