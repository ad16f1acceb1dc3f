"""Steps that begin announce the tiers of what comes after them: with real Flows and a real LLM."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import pytest
from crewai import Agent
from crewai.events.stream_context import add_stream_sink, reset_stream_sinks
from crewai.flow.flow import Flow, listen, router, start

from orchestrator.errors import RunFailed
from orchestrator.flow import FlowClass, run_flow
from orchestrator.graph import graph_of
from orchestrator.llm import tier
from orchestrator.quiet import silence_console
from orchestrator.settings import Settings
from orchestrator.warming.declared import ATTRIBUTE, tiers
from orchestrator.warming.watch import StepWatch, announced_by
from tests.doubles.chat_server import ChatServer

Announcement = tuple[str, tuple[str, ...]]


class Declared(Flow[Any]):
    """Says what its steps use."""

    _skip_auto_memory = True

    @start()
    @tiers("routing", "code")
    def classify(self) -> None:
        """A step."""

    @listen(classify)
    @tiers("reasoning")
    async def think(self) -> None:
        """A step."""

    @tiers("routing")
    @listen(think)
    def check(self) -> None:
        """A step."""

    @listen(check)
    @tiers("summary")
    def report(self) -> None:
        """A step."""


class Silent(Flow[Any]):
    """Says nothing: its code is read."""

    _skip_auto_memory = True

    @start()
    async def classify(self) -> None:
        """A step on the loop."""
        await tier("routing").acall("Hello?")

    @router(classify)
    def branch(self) -> Literal["hard", "odd"]:
        """Asks nobody."""
        return "hard"

    @listen("odd")
    def look_up(self) -> None:
        """A branch that is not taken, on a tier and on whichever the gateway chooses."""
        tier("code").call(str(tier("auto").call("Hello?")))

    @listen("hard")
    def think(self) -> None:
        """A step in a thread."""
        Agent(role="thinker", goal="g", backstory="b", llm=tier("reasoning")).kickoff("Think.")


@contextmanager
def watched(watch: StepWatch) -> Iterator[None]:
    """Everything inside is seen by ``watch``."""
    silence_console()
    token = add_stream_sink(watch)
    try:
        yield
    finally:
        reset_stream_sinks(token)


class Bed:
    """A watch, and what it announced."""

    def __init__(self) -> None:
        self.announced: list[Announcement] = []
        self.said: list[str] = []
        self.watch = StepWatch(self.announce, say=self.said.append)

    def announce(self, run: str, tiers: Sequence[str]) -> None:
        """See ``Announce``."""
        self.announced.append((run, tuple(tiers)))

    async def run(self, flow_class: FlowClass, run: str) -> list[Announcement]:
        """What one run announced."""
        before = len(self.announced)
        with watched(self.watch):
            await run_flow(flow_class, run=run)
        return self.announced[before:]


async def test_each_step_announces_what_comes_after_it() -> None:
    """And what it calls later itself; its first tier is woken by its own call."""
    assert await Bed().run(Declared, "run-7") == [
        ("run-7", ("code", "reasoning")),
        ("run-7", ("routing", "summary")),
        ("run-7", ("summary",)),
    ]


async def test_where_nobody_says_it_the_code_does(settings: Settings) -> None:
    """All branches count, and a router that asks no model counts as no step; it tells the same once more."""
    assert settings.url
    assert await Bed().run(Silent, "run-7") == [("run-7", ("code", "reasoning"))] * 2


async def test_a_steps_own_first_tier_is_woken_by_its_own_call() -> None:
    """Whatever comes next: it would only be asked for twice."""
    graph = graph_of(Declared)
    assert [announced_by(graph, step.name) for step in graph.steps] == [
        ("code", "reasoning"),
        ("routing", "summary"),
        ("summary",),
        (),
    ]


@pytest.mark.usefixtures("server")
async def test_steps_that_are_declared_to_use_nothing_announce_nothing() -> None:
    class Nothing(Flow[Any]):
        _skip_auto_memory = True

        @start()
        def begin(self) -> None:
            """A step."""

        @tiers()
        @listen(begin)
        def end(self) -> None:
            """A step."""

    assert await Bed().run(Nothing, "run-7") == []


async def test_a_flow_whose_graph_cannot_be_read_runs_as_ever() -> None:
    """That is said once."""

    class Odd(Flow[Any]):
        _skip_auto_memory = True

        @start()
        def begin(self) -> None:
            """A step of which something else is declared than names."""

        setattr(begin, ATTRIBUTE, 5)

    bed = Bed()
    assert await bed.run(Odd, "run-7") == await bed.run(Odd, "run-8") == []
    assert bed.said == ["tiers of Odd are not announced: TypeError: 'int' object is not iterable"]


async def test_a_step_that_fails_has_announced_already(server: ChatServer) -> None:
    class Fails(Flow[Any]):
        _skip_auto_memory = True

        @start()
        def begin(self) -> None:
            raise RuntimeError("cold oven")

        @tiers("reasoning")
        @listen(begin)
        def end(self) -> None:
            """A step."""

    bed = Bed()
    with pytest.raises(RunFailed):
        await bed.run(Fails, "run-7")
    assert bed.announced == [("run-7", ("reasoning",))]
    assert not server.asked
