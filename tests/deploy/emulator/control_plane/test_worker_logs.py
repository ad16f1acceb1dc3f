import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from deploy.emulator.model.faults import Faults
from deploy.emulator.model.worker import Worker
from tests.deploy.emulator.control_plane.rig import NOW, QUEUE, Rig

Event = dict[str, Any]


async def worker_of(api: httpx.AsyncClient, rig: Rig, faults: Faults | None = None) -> tuple[str, Worker]:
    """An endpoint with one worker, and the path of its log."""
    made = (await api.post("/v2/serverless", json=QUEUE)).json()
    rig.world.set_faults(made["id"], faults or Faults(pull_seconds=60, load_seconds=100), rig.clock.now())
    rig.world.submit(made["id"], {"prompt": "hi"}, rig.clock.now())
    [worker] = rig.endpoint(made["id"]).workers.values()
    return f"/v2/serverless/{made['id']}/workers/{worker.id}/logs", worker


@asynccontextmanager
async def reading(
    api: httpx.AsyncClient, path: str, params: dict[str, str] | None = None, headers: dict[str, str] | None = None
) -> AsyncIterator[AsyncIterator[Event]]:
    """The events of a log, as they come."""
    async with api.stream("GET", path, params=params, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].partition(";")[0] == "text/event-stream"

        async def events() -> AsyncIterator[Event]:
            id_ = ""
            async for line in answer.aiter_lines():
                if line.startswith("id: "):
                    id_ = line.removeprefix("id: ")
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: ")) | {"id": id_}

        yield events()


async def take(events: AsyncIterator[Event], count: int) -> list[Event]:
    """So many events; they have to come soon."""
    async with asyncio.timeout(5):
        return [await anext(events) for _ in range(count)]


async def test_a_log_begins_with_its_latest_lines_and_goes_on_with_each_new_one(
    api: httpx.AsyncClient, rig: Rig
) -> None:
    path, worker = await worker_of(api, rig)
    async with reading(api, path) as events:
        [first] = await take(events, 1)
        assert first == {
            "ts": "2026-11-22T12:00:00.000000Z",
            "source": "system",
            "line": f"image pull: {QUEUE['image']}: pending",
            "id": "2026-11-22T12:00:00.000000Z/000000000000",
        }
        rig.move(60)
        lines = [event["line"] for event in await take(events, 6)]
    assert lines == [line.text for line in worker.log][1:7]
    assert "Starting to load model Qwen/Qwen3-0.6B..." in lines


async def test_a_streams_end_leaves_nothing_behind(api: httpx.AsyncClient, rig: Rig) -> None:
    path, _ = await worker_of(api, rig)
    before = list(rig.world.listeners)
    async with reading(api, path) as events:
        await take(events, 1)
        assert len(rig.world.listeners) == len(before) + 1
    async with asyncio.timeout(5):
        while rig.world.listeners != before:  # noqa: ASYNC110 - the server notices the end in its own time
            await asyncio.sleep(0.001)


async def test_headers_keep_proxies_from_holding_lines_back(api: httpx.AsyncClient, rig: Rig) -> None:
    path, _ = await worker_of(api, rig)
    async with api.stream("GET", path) as answer:
        told = {name: answer.headers[name] for name in ("cache-control", "connection", "x-accel-buffering")}
    assert told == {"cache-control": "no-cache", "connection": "keep-alive", "x-accel-buffering": "no"}


async def test_one_source_can_be_asked_for(api: httpx.AsyncClient, rig: Rig) -> None:
    path, worker = await worker_of(api, rig)
    rig.move(61)
    for source in ("container", "system"):
        wanted = [line.text for line in worker.log if line.source == source]
        async with reading(api, path, params={"source": source}) as events:
            assert [event["line"] for event in await take(events, len(wanted))] == wanted
    async with reading(api, path, params={"source": "container", "tail": "0"}) as events:
        worker.say(rig.clock.now(), "not this", "system")
        worker.say(rig.clock.now(), "this")
        rig.move(0)
        assert (await take(events, 1))[0]["line"] == "this"


async def test_tail_bounds_the_lines_from_before(api: httpx.AsyncClient, rig: Rig) -> None:
    path, worker = await worker_of(api, rig)
    for number in range(150):
        worker.say(rig.clock.now(), f"line {number}")
    async with reading(api, path) as events:
        assert (await take(events, 100))[0]["line"] == "line 50"
    async with reading(api, path, params={"tail": "2"}) as events:
        assert [event["line"] for event in await take(events, 2)] == ["line 148", "line 149"]


async def test_a_stream_is_resumed_without_gap_or_repetition_within_one_moment(
    api: httpx.AsyncClient, rig: Rig
) -> None:
    path, worker = await worker_of(api, rig)
    for number in range(5):
        worker.say(rig.clock.now(), f"line {number}")
    async with reading(api, path) as events:
        last = (await take(events, 3))[-1]
    assert last["line"] == "line 1"
    headers = {"last-event-id": last["id"]}
    async with reading(api, path, headers=headers, params={"tail": "1", "since": "2020-01-01T00:00:00Z"}) as events:
        assert [event["line"] for event in await take(events, 3)] == ["line 2", "line 3", "line 4"]


async def test_since_and_a_bare_moment_say_where_to_begin(api: httpx.AsyncClient, rig: Rig) -> None:
    path, worker = await worker_of(api, rig)
    worker.say(NOW + 1, "one")
    worker.say(NOW + 2, "two")
    async with reading(api, path, params={"since": "2026-11-22T12:00:01Z", "tail": "0"}) as events:
        assert [event["line"] for event in await take(events, 2)] == ["one", "two"]
    async with reading(api, path, headers={"last-event-id": "2026-11-22T12:00:01Z"}) as events:
        assert [event["line"] for event in await take(events, 1)] == ["two"]


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ({"tail": "5001"}, {}),
        ({"tail": "-1"}, {}),
        ({"source": "kernel"}, {}),
        ({"since": "now"}, {}),
        ({}, {"last-event-id": "42"}),
        ({}, {"last-event-id": "2026-11-22T12:00:01Z/x"}),
    ],
)
async def test_a_malformed_question_is_a_422(
    api: httpx.AsyncClient, rig: Rig, query: dict[str, str], headers: dict[str, str]
) -> None:
    path, _ = await worker_of(api, rig)
    assert (await api.get(path, params=query, headers=headers)).status_code == 422


async def test_an_unknown_worker_is_a_404(api: httpx.AsyncClient, rig: Rig) -> None:
    path, worker = await worker_of(api, rig)
    answer = await api.get(path.replace(worker.id, "none"))
    assert (answer.status_code, answer.json()["detail"]) == (404, "worker not found")


async def test_a_crash_loop_can_be_told_from_missing_capacity_by_its_log(api: httpx.AsyncClient, rig: Rig) -> None:
    """/health says unhealthy; only the log says why. It is there after the worker has stopped, too."""
    path, worker = await worker_of(api, rig, Faults(crash_loop=True, pull_seconds=1, load_seconds=5))
    rig.move(60)
    async with reading(api, path) as events:
        lines = [event["line"] for event in await take(events, len(worker.log))]
    crashes = [line for line in lines if line == "worker exited with exit code 1"]
    assert len(crashes) > 1
    assert "RuntimeError: Engine core initialization failed. See root cause above." in lines
    await api.patch(path.rsplit("/workers", 1)[0], json={"workers": {"max": 0}})
    assert rig.endpoint(worker.endpoint_id).workers == {}
    async with reading(api, path) as events:
        assert await take(events, 1)
