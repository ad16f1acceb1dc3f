# ruff: noqa: D101, D102 - the Flows and models here are test data
"""Every LLM call says who makes it, whichever way CrewAI takes to make it, and runs never mix."""

import asyncio
from threading import Barrier

import pytest
from crewai import Agent, Crew, Task
from crewai.flow.flow import Flow, listen, start
from crewai.hooks import InterceptionPoint, get_hooks
from pydantic import BaseModel

from orchestrator.flow import run_flow
from orchestrator.identity import (
    HEADER_LENGTH_MAX,
    Identity,
    current_identity,
    register_identity_hooks,
    running,
)
from orchestrator.llm import tier
from tests.doubles.chat_server import Asked, ChatServer

pytestmark = pytest.mark.usefixtures("settings")


class Word(BaseModel):
    word: str


class Note(BaseModel):
    name: str = ""
    inner: str = ""


def one_task_crew(role: str, task: str, model: str, output: type[BaseModel] | None = None) -> Crew:
    agent = Agent(role=role, goal="Answer.", backstory="Brief.", llm=tier(model, stream=model == "reasoning"))
    job = Task(name=task, description="Say a word.", expected_output="A word.", agent=agent, output_pydantic=output)
    return Crew(agents=[agent], tasks=[job])


class ManyWays(Flow[Note]):
    """Calls models from an async crew, a sync crew in a thread, two branches at once, and directly."""

    _skip_auto_memory = True

    @start()
    async def sort(self) -> None:
        await one_task_crew("router", "sort it", "routing", Word).akickoff()
        await tier("routing").acall(f"directly for {self.state.name}")

    @listen(sort)
    def left(self) -> None:
        one_task_crew("Zoë\n", "left task", "reasoning").kickoff()

    @listen(sort)
    async def right(self) -> None:
        await one_task_crew("right hand", "right task", "reasoning").akickoff()


class Inner(Flow[Note]):
    _skip_auto_memory = True

    @start()
    async def inside(self) -> str:
        await tier("routing").acall("inside")
        return "done"


class Outer(Flow[Note]):
    _skip_auto_memory = True

    @start()
    async def around(self) -> None:
        self.state.inner = await Inner().kickoff_async()
        await tier("routing").acall("around")


def who(asked: Asked) -> tuple[str | None, ...]:
    names = ("flow", "step", "agent", "task")
    return (asked.model, *(asked.headers.get(f"x-tiergate-{name}") for name in names))


async def test_two_concurrent_runs_label_each_of_their_calls(server: ChatServer) -> None:
    """Four calls per run, over threads, tasks, streams and structured output: each has its own run's identity."""
    together = Barrier(2, timeout=20)

    def script(asked: Asked) -> str:
        if asked.model == "routing" and asked.schema:
            together.wait()  # both runs are really under way at once
        return '{"word": "yes"}' if asked.schema else "Yes."

    server.script = script
    await asyncio.gather(
        run_flow(ManyWays, {"name": "first"}, run="run-1"), run_flow(ManyWays, {"name": "second"}, run="run-2")
    )
    expected = sorted([
        ("routing", "ManyWays", "sort", "router", "sort it"),
        ("routing", "ManyWays", "sort", None, None),
        ("reasoning", "ManyWays", "left", "Zo%C3%AB", "left task"),
        ("reasoning", "ManyWays", "right", "right hand", "right task"),
    ], key=str)  # fmt: skip
    for run, name in (("run-1", "first"), ("run-2", "second")):
        of_run = [asked for asked in server.asked if asked.headers["x-tiergate-run"] == run]
        assert sorted(map(who, of_run), key=str) == expected
        assert [f"directly for {name}" in asked.prompt for asked in of_run].count(True) == 1


async def test_a_flow_inside_a_step_hands_the_step_s_name_back(server: ChatServer) -> None:
    await run_flow(Outer, run="run-3")
    assert [who(asked)[1:3] for asked in server.asked] == [("Inner", "inside"), ("Outer", "around")]
    assert {asked.headers["x-tiergate-run"] for asked in server.asked} == {"run-3"}


def test_outside_a_run_nothing_is_claimed(server: ChatServer) -> None:
    tier("routing").call("Hello")
    assert not [name for name in server.asked[0].headers if name.startswith("x-tiergate-")]


def test_a_run_s_name_ends_with_its_block() -> None:
    with running("run-4"):
        assert current_identity() == Identity(run="run-4")
    assert current_identity() == Identity()


async def test_what_a_run_may_take_goes_with_all_its_calls(server: ChatServer) -> None:
    """Of its steps, their agents and the Flows inside of them; and with no other run's."""
    register_identity_hooks()
    bounds = {"x-tiergate-run-max-calls": "7"}
    with running("run-5", bounds):
        await Outer().kickoff_async()
    await run_flow(Outer, run="run-6")
    told = [(asked.headers["x-tiergate-run"], asked.headers.get("x-tiergate-run-max-calls")) for asked in server.asked]
    assert told == [("run-5", "7")] * 2 + [("run-6", None)] * 2
    assert all(asked.headers["x-tiergate-step"] for asked in server.asked)


@pytest.mark.parametrize(
    ("value", "header"),
    [
        ("  router\n", "router"),
        ("a\nb\r\nx-evil: 1", "a%0Ab%0D%0Ax-evil: 1"),
        ("Köln 50%", "K%C3%B6ln 50%25"),
        ("billing (level-2), v1.0", "billing (level-2), v1.0"),
        ("x" * 300, "x" * HEADER_LENGTH_MAX),
        ("x" * (HEADER_LENGTH_MAX - 1) + "é", "x" * (HEADER_LENGTH_MAX - 1)),
    ],
)
def test_a_header_is_one_printable_line(value: str, header: str) -> None:
    """YAML leaves line ends in roles; anything may stand in a task's name; nothing may break a header."""
    assert Identity(agent=value).headers() == {"x-tiergate-agent": header}


def test_hooks_are_registered_once() -> None:
    register_identity_hooks()
    before = {point: len(get_hooks(point)) for point in InterceptionPoint}
    register_identity_hooks()
    assert {point: len(get_hooks(point)) for point in InterceptionPoint} == before
