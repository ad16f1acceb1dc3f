"""What is said of workers and of the Flow, from what the emulator tells and the log holds."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.errors import EmulatorRefused, ProcessDied
from deploy.local.emulator import Emulator
from deploy.local.watch import Watch


class Trial:
    """A watch over an emulator whose state the test sets."""

    def __init__(self, logs: Path) -> None:
        self.said: list[str] = []
        self.workers: dict[str, list[dict[str, Any]]] = {}
        self.log = logs / "worker-f1.log"
        emulator = Emulator(httpx.AsyncClient(transport=httpx.MockTransport(self._state)), origin="http://e")
        self.watch = Watch(emulator, logs=logs, say=self.said.append, flow="flows", run="r-1")

    def _state(self, _request: httpx.Request) -> httpx.Response:
        endpoints = [{"id": name, "name": name, "workers": workers} for name, workers in self.workers.items()]
        return httpx.Response(200, json={"endpoints": endpoints})

    async def see(self, **workers: tuple[str, bool]) -> list[str]:
        """One look, with one worker for each endpoint that is named; returns what was said of it."""
        self.workers = {
            name: [{"id": f"{name[0]}1", "state": state, "serving": serving}]
            for name, (state, serving) in workers.items()
        }
        before = len(self.said)
        await self.watch.look()
        return self.said[before:]


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


async def test_each_step_of_a_cold_start_is_told_once(trial: Trial) -> None:
    assert await trial.see(routing=("initializing", False)) == ["routing: a worker starts cold: its image is pulled"]
    assert await trial.see(routing=("initializing", False)) == []
    assert await trial.see(routing=("running", False)) == ["routing: its worker loads; it is billed from here on"]
    assert await trial.see(routing=("running", True)) == ["routing: its worker serves"]
    assert await trial.see(routing=("idle", False)) == ["routing: its worker has gone to sleep"]
    assert await trial.see(routing=("throttled", False)) == ["routing: no GPU is free"]
    assert await trial.see(routing=("outdated", False)) == ["routing: its worker is outdated"]


async def test_the_flows_own_lines_are_passed_on_when_they_are_whole(trial: Trial) -> None:
    """Those of this run alone, and none twice; a worker without a log yet has said nothing."""
    assert await trial.see(flows=("running", True)) == ["flows: its worker serves"]
    trial.log.write_bytes(b"loading\nrun r-1: step one\nrun r-0: step nine\nrun r-1: st")
    assert await trial.see(flows=("running", True), routing=("running", True)) == [
        "routing: its worker serves",
        "flow: step one",
    ]
    with trial.log.open("ab") as log:
        log.write(b"ep two\n")
    assert await trial.see(flows=("running", True)) == ["flow: step two"]


async def test_a_worker_that_dies_ends_the_watch_with_its_last_words(trial: Trial) -> None:
    trial.log.write_text("there is no such Flow\n", encoding="utf-8")
    trial.workers = {"flows": [{"id": "f1", "state": "unhealthy", "serving": False}]}
    with pytest.raises(ProcessDied, match="the worker of flows ended by itself") as caught:
        await trial.watch.watch()
    assert caught.value.log_tail == "there is no such Flow"
    assert str(trial.log) in caught.value.remedy


async def test_it_looks_again_until_it_is_cancelled(trial: Trial) -> None:
    trial.workers = {"routing": [{"id": "r1", "state": "initializing", "serving": False}]}
    async with asyncio.TaskGroup() as group, asyncio.timeout(10):
        task = group.create_task(trial.watch.watch())
        while not trial.said:  # noqa: ASYNC110 - the watch's doing
            await asyncio.sleep(0.01)
        trial.workers["routing"][0]["serving"] = True
        while len(trial.said) < 2:  # noqa: ASYNC110 - the watch's doing
            await asyncio.sleep(0.01)
        task.cancel()


async def test_an_emulator_that_does_not_answer_is_told() -> None:
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(500)))
    watch = Watch(Emulator(client, origin="http://e"), logs=Path(), say=print, flow="flows", run="r-1")
    with pytest.raises(EmulatorRefused, match="answered 500"):
        await watch.look()
