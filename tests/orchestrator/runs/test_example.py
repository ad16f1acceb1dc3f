"""The example Flow, with its crews, as a durable run: no call is paid twice for what is kept."""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.flow import FlowClass, load_flow
from orchestrator.runs.directory_store import DirectoryRunStore
from orchestrator.runs.fingerprint import fingerprint
from orchestrator.runs.run import Step
from orchestrator.runs.store import Ownership
from tests.doubles.chat_server import Asked, ChatServer
from tests.orchestrator.runs.desk import desk_in

FLOW_FILE = Path(__file__).parents[3] / "examples" / "support_triage" / "flow.py"

pytestmark = pytest.mark.usefixtures("settings")


@pytest.fixture
def triage() -> Iterator[FlowClass]:
    """The example's class; its folder is off the path again afterwards."""
    path = list(sys.path)
    yield load_flow(f"{FLOW_FILE}:SupportTriageFlow")
    sys.path[:] = path


def model(asked: Asked) -> str:
    """Sorts every message as technical, and answers with its task's name."""
    return json.dumps({"about": "a technical problem"}) if asked.schema else asked.headers["x-tiergate-task"]


class Interrupted(DirectoryRunStore):
    """Has its worker end whenever a step was kept."""

    worker: asyncio.Task[object]

    async def keep_step(self, ownership: Ownership, step: Step) -> None:
        """As ``DirectoryRunStore``, and then the worker ends."""
        await super().keep_step(ownership, step)
        self.worker.cancel()


async def test_it_is_carried_on_by_a_new_worker_after_every_step(
    tmp_path: Path, server: ChatServer, triage: FlowClass
) -> None:
    server.script = model
    async with desk_in(tmp_path / "whole", triage) as desk:
        whole = await desk.run("SupportTriageFlow", {"customer": "Grace"})
    assert whole.state == "succeeded"
    calls = [asked.headers["x-tiergate-step"] for asked in server.asked]
    store = Interrupted(tmp_path / "interrupted", unix=lambda: 1.0)
    async with desk_in(tmp_path / "unused", triage, store=store) as desk:
        assert desk.runner.code("SupportTriageFlow") == fingerprint(triage)
        await store.add(desk.asked("SupportTriageFlow", {"customer": "Grace"}))
        run = None
        while run is None or not run.state.ended:
            store.worker = asyncio.ensure_future(desk.runner.work("run-1"))
            await asyncio.wait({store.worker})
            run = await store.run("run-1")
    await store.close()
    assert (run.state, run.output, run.attempts) == ("succeeded", whole.output, whole.steps + 1)
    assert [asked.headers["x-tiergate-step"] for asked in server.asked] == calls * 2
