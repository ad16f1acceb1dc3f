"""Runs of one hosted Flow, each in a thread of its own."""

import sys
from asyncio import CancelledError
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from crewai_core import lock_store

from orchestrator.errors import FlowUnusable, InputsRefused
from orchestrator.hosted_flow import LoadedFlow
from orchestrator.settings import Settings

FLOW = """
import asyncio
from threading import Barrier
from crewai.flow.flow import Flow, start
from pydantic import BaseModel
from orchestrator.identity import current_identity
from orchestrator.settings import current_settings

MEET = Barrier(2, timeout=20)
BEGUN = Barrier(2, timeout=20)

class State(BaseModel):
    name: str = "Ada"
    meet: bool = False
    wait: bool = False
    fail: bool = False

class Hosted(Flow[State]):
    _skip_auto_memory = True

    @start()
    async def work(self):
        if self.state.meet:
            MEET.wait()
        if self.state.fail:
            raise RuntimeError("cold oven")
        if self.state.wait:
            BEGUN.wait()
            await asyncio.sleep(60)
        return {"name": self.state.name, "run": current_identity().run, "url": current_settings().url}
"""


@pytest.fixture
def loaded(tmp_path: Path, settings: Settings) -> Iterator[tuple[LoadedFlow, list[str]]]:
    file = tmp_path / "tg_hosted_flow.py"
    file.write_text(FLOW)
    path = list(sys.path)
    lines: list[str] = []
    yield LoadedFlow.load(f"{file}:Hosted", settings=settings, write=lines.append), lines
    sys.path[:] = path
    sys.modules.pop(file.stem, None)
    lock_store.set_lock_backend(None)


Loaded = tuple[LoadedFlow, list[str]]


def test_a_run_has_its_name_its_gateway_and_its_progress(loaded: Loaded, settings: Settings) -> None:
    """In a thread, to which nothing came from whoever started it."""
    flow, lines = loaded
    with ThreadPoolExecutor(1) as threads:
        document = threads.submit(flow.prepare({"name": "Grace"}, "run-1").work).result(30)
    assert document["output"] == {"name": "Grace", "run": "run-1", "url": settings.url}
    assert (document["run"], document["flow"], document["status"]) == ("run-1", "Hosted", "ok")
    assert lines[0].startswith("run run-1: ")
    assert lines[-1].endswith("step work done")


def test_a_run_without_a_name_gets_one(loaded: Loaded) -> None:
    flow, _ = loaded
    first, second = (flow.prepare({}, None).work() for _ in range(2))
    assert first["run"] != second["run"]


def test_runs_that_block_do_not_hold_up_each_other(loaded: Loaded) -> None:
    """Each waits, without giving way, for the other to be as far."""
    flow, _ = loaded
    with ThreadPoolExecutor(2) as threads:
        runs = [threads.submit(flow.prepare({"meet": True}, f"run-{n}").work) for n in range(2)]
        assert [run.result(30)["run"] for run in runs] == ["run-0", "run-1"]


def test_a_run_that_fails_is_a_document_and_a_line(loaded: Loaded) -> None:
    flow, lines = loaded
    document = flow.prepare({"fail": True}, "run-1").work()
    assert (document["status"], document["error"]) == (
        "failed",
        "Hosted failed in step 'work': RuntimeError: cold oven",
    )
    assert lines[-1] == f"run run-1: {document['error']}"


def test_inputs_that_do_not_fit_the_state_start_nothing(loaded: Loaded) -> None:
    flow, lines = loaded
    with pytest.raises(InputsRefused, match="colour"):
        flow.prepare({"colour": "red"}, None).work()
    assert lines == []


def test_a_run_can_be_cancelled_from_another_thread(loaded: Loaded) -> None:
    flow, _ = loaded
    run = flow.prepare({"wait": True}, None)
    with ThreadPoolExecutor(1) as threads:
        working = threads.submit(run.work)
        sys.modules["tg_hosted_flow"].BEGUN.wait()
        run.cancel()
        with pytest.raises(CancelledError):
            working.result(20)
    run.cancel()


def test_a_run_that_was_cancelled_before_it_began_does_nothing(loaded: Loaded) -> None:
    flow, lines = loaded
    run = flow.prepare({}, None)
    run.cancel()
    with pytest.raises(CancelledError):
        run.work()
    assert lines == []


def test_what_is_no_flow_cannot_be_hosted(loaded: Loaded, settings: Settings) -> None:
    del loaded
    with pytest.raises(FlowUnusable):
        LoadedFlow.load("tg_no_such_module:Flow", settings=settings, write=print)
