"""Warming ahead as a whole, in every place where runs are: what the gateway hears, and that no run minds."""

import asyncio
import json
from io import StringIO
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import pytest
from crewai.flow.flow import Flow, listen, start

from orchestrator.flow import run_flow
from orchestrator.host.metrics import HostMetrics
from orchestrator.llm import tier
from orchestrator.quiet import silence_console
from orchestrator.run_command import RunCommand
from orchestrator.runs.run import Step
from orchestrator.runs.store import Ownership
from orchestrator.serve_command import _flows_context
from orchestrator.settings import Secret, Settings
from orchestrator.warming.announced import announced
from orchestrator.warming.declared import tiers
from tests.doubles.chat_server import ChatServer
from tests.orchestrator.runs.desk import desk_in

BOUND_SECONDS = 10.0

FLOW = """
from crewai.flow.flow import Flow, listen, start
from orchestrator import tiers

class Told(Flow):
    _skip_auto_memory = True

    @start()
    def one(self):
        pass

    @tiers("reasoning")
    @listen(one)
    def two(self):
        return "done"
"""


class Heard:
    """What the first step of ``Five`` waits for, where there is anything."""

    server: ChatServer | None = None


class Five(Flow[Any]):
    """Five steps on tiers of their own; the first waits until something was announced, for as long as a test may."""

    _skip_auto_memory = True

    @start()
    @tiers("one")
    async def first(self) -> None:
        """Goes on when the gateway has heard of what comes after it."""
        ends_at = monotonic() + BOUND_SECONDS
        while Heard.server is not None and not Heard.server.announced:
            assert monotonic() < ends_at
            await asyncio.sleep(0.001)

    @listen(first)
    @tiers("two")
    async def second(self) -> None:
        """A step."""

    @listen(second)
    @tiers("three")
    async def third(self) -> None:
        """A step."""

    @listen(third)
    @tiers("four")
    async def fourth(self) -> None:
        """A step."""

    @listen(fourth)
    @tiers("five")
    async def fifth(self) -> str:
        """A step that calls its tier."""
        return str(await tier("five").acall("Hello?"))


async def test_the_gateway_hears_of_tiers_before_the_steps_that_need_them(
    settings: Settings, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the first step is still under way; nothing goes wrong, so nothing is said."""
    monkeypatch.setattr(Heard, "server", server)
    silence_console()
    said: list[str] = []
    with announced(settings, say=said.append):
        assert (await run_flow(Five, run="run-7")).output == "Fine."
    assert server.announced[0] == ("run-7", ("two", "three"))
    assert [asked.model for asked in server.asked] == ["five"]
    assert said == []


async def test_a_run_that_is_carried_on_announces_what_it_still_needs(
    settings: Settings, server: ChatServer, tmp_path: Path
) -> None:
    """The steps that are kept do not begin."""
    silence_console()
    with announced(settings, say=print):
        async with desk_in(tmp_path, Five) as desk:
            name = await desk.add("Five")
            ownership = await desk.store.own(name, owner="gone", lease_seconds=30)
            assert isinstance(ownership, Ownership)
            for method in ("first", "second", "third"):
                step = Step(method=method, number=1, output=None, state={"id": name}, started_unix=0.0, seconds=0.0)
                await desk.store.keep_step(ownership, step)
            await desk.store.let_go(ownership)
            run = await desk.work(name)
    assert (run.state.value, run.output) == ("succeeded", "Fine.")
    assert server.announced == [("run-1", ("five",))]


@pytest.mark.parametrize("status", [404, 503])
async def test_a_run_minds_no_gateway_that_takes_no_announcements(
    settings: Settings, server: ChatServer, status: int
) -> None:
    """That is said once for all of them."""
    server.wake = lambda _: (status, {})
    silence_console()
    said: list[str] = []
    with announced(settings, say=said.append):
        for run in range(3):
            assert (await run_flow(Five, run=f"run-{run}")).output == "Fine."
    assert len(said) <= 1
    assert all(str(status) in line for line in said)


async def test_a_run_waits_for_no_announcement(settings: Settings, server: ChatServer) -> None:
    """Though the gateway takes it and never answers."""
    ended = Event()

    def hang(_asked: object) -> tuple[int, Any]:
        assert ended.wait(BOUND_SECONDS)
        return 202, {"data": []}

    server.wake = hang
    silence_console()
    with announced(settings, say=print):
        assert (await run_flow(Five)).output == "Fine."
        ended.set()


def test_the_command_announces(settings: Settings, server: ChatServer, tmp_path: Path) -> None:
    (tmp_path / "tg_announced_flow.py").write_text(FLOW)
    target, (stdout, stderr) = f"{tmp_path / 'tg_announced_flow.py'}:Told", (StringIO(), StringIO())
    command = RunCommand(target=target, inputs={}, run="run-1", output="json", debug=True, settings=settings)
    assert command.execute(stdout, stderr), stderr.getvalue()
    assert json.loads(stdout.getvalue())["output"] == "done"
    assert server.announced in ([], [("run-1", ("reasoning",))]), "it may end before it was heard"
    assert "announced" not in stderr.getvalue()


async def test_every_run_of_a_worker_announces(
    settings: Settings, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its thread of Flows begins with has it; what goes wrong is on the worker's log."""
    monkeypatch.setattr(Heard, "server", server)
    said: list[str] = []
    server.wake = lambda _: (503, {})
    with _flows_context(Settings(url=settings.url, key=Secret("sk")), HostMetrics(), said.append):
        await run_flow(Five, run="run-7")
    assert server.announced[0] == ("run-7", ("two", "three"))
    assert len(said) <= 1
