# ruff: noqa: D101, D102 - the Flows and models here are test data
"""From MODULE:CLASS to a finished run: clear errors before anything starts, plain values at the end."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crewai import Agent, Crew, Task
from crewai.flow.async_feedback import HumanFeedbackPending, PendingFeedbackContext
from crewai.flow.flow import Flow, listen, start
from crewai.flow.human_feedback import human_feedback
from pydantic import BaseModel

from orchestrator.errors import FlowUnusable, InputsRefused, RunFailed
from orchestrator.flow import load_flow, run_flow
from orchestrator.llm import tier
from tests.doubles.chat_server import ChatServer, Refusal

pytestmark = pytest.mark.usefixtures("settings")

FLOW_FILE = """
from crewai.flow.flow import Flow, start

class Hello(Flow):
    _skip_auto_memory = True

    @start()
    def greet(self):
        return "hello"

class NotAFlow:
    pass

number = 7
"""


class Order(BaseModel):
    item: str = "tea"
    count: int = 1


class OrderFlow(Flow[Order]):
    _skip_auto_memory = True

    @start()
    def double(self) -> None:
        self.state.count *= 2


class Untyped(Flow[dict[str, Any]]):
    _skip_auto_memory = True

    @start()
    def echo(self) -> object:
        return {"echo": self.state["word"], "of": {1}}


class Asks(Flow[Order]):
    _skip_auto_memory = True

    @start()
    async def talk(self) -> object:
        agent = Agent(role="a", goal="g", backstory="b", llm=tier("routing"), max_retry_limit=0)
        task = Task(name="t", description="Say it.", expected_output="A word.", agent=agent)
        return await Crew(agents=[agent], tasks=[task]).akickoff()


class ReturnsModel(Flow[Order]):
    _skip_auto_memory = True
    stream: bool = True

    @start()
    def make(self) -> Order:
        return Order(item="cake")


class Breaks(Flow[Order]):
    _skip_auto_memory = True

    @start()
    def fine(self) -> None:
        self.state.item = "changed"

    @listen(fine)
    def broken(self) -> None:
        raise RuntimeError("the oven\nis cold")


class NobodyThere:
    """A way to ask a person that nobody answers."""

    def request_feedback(self, context: PendingFeedbackContext, flow: Flow[Any]) -> str:
        del flow
        raise HumanFeedbackPending(context=context)


class WaitsForAPerson(Flow[Order]):
    _skip_auto_memory = True

    @start()
    @human_feedback(message="Is this right?", provider=NobodyThere())
    def propose(self) -> str:
        return "tea"


class NoDefault(BaseModel):
    needed: str


class NeedsDefault(Flow[NoDefault]):
    _skip_auto_memory = True

    @start()
    def never(self) -> None:
        """Never reached."""


class RefusesToBeMade(Flow[Order]):
    def __init__(self) -> None:
        raise LookupError("no such thing")


@pytest.fixture
def clean_imports() -> Iterator[None]:
    """What a test imports is forgotten after it."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("tg_"):
            del sys.modules[name]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_imports: None) -> Path:
    """A working directory with Flows in it."""
    del clean_imports
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tg_flow.py").write_text(FLOW_FILE)
    package = tmp_path / "tg_outer" / "inner"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "tg_deep.py").write_text("import tg_outer\n" + FLOW_FILE)
    (tmp_path / "tg_needy.py").write_text("import tg_absent_dependency\n")
    (tmp_path / "tg_broken.py").write_text("1 / 0\n")
    return tmp_path


@pytest.mark.parametrize(
    "target", ["tg_flow:Hello", "tg_flow.py:Hello", "./tg_flow.py:Hello", "tg_outer/inner/tg_deep.py:Hello"]
)
@pytest.mark.usefixtures("folder")
async def test_a_flow_is_found_in_a_module_or_a_file(target: str) -> None:
    result = await run_flow(load_flow(target))
    assert (result.flow, result.output) == ("Hello", "hello")


@pytest.mark.usefixtures("folder")
def test_a_file_in_packages_is_imported_under_its_full_name() -> None:
    assert load_flow("tg_outer/inner/tg_deep.py:Hello").__module__ == "tg_outer.inner.tg_deep"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("tg_flow", "is not MODULE:CLASS"),
        ("tg_flow:", "is not MODULE:CLASS"),
        (":Hello", "is not MODULE:CLASS"),
        ("tg_flow:not a name", "is not MODULE:CLASS"),
        ("tg_nowhere:Hello", "There is no module 'tg_nowhere'"),
        ("tg_outer.nowhere:Hello", "There is no module 'tg_outer.nowhere'"),
        ("missing/flow.py:Hello", "There is no file missing/flow.py"),
        ("tg_flow:Absent", "has no class 'Absent'. Flows in it: Hello."),
        ("tg_flow:NotAFlow", "something else than a Flow class under the name 'NotAFlow'"),
        ("tg_flow:number", "something else than a Flow class under the name 'number'"),
        ("tg_flow:Flow", "something else than a Flow class under the name 'Flow'"),
        ("tg_outer:X", "Flows in it: none."),
        ("tg_needy:X", "tg_needy needs a module that is not installed: tg_absent_dependency"),
        ("tg_broken:X", "Importing tg_broken failed: ZeroDivisionError: division by zero"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_loaded_is_refused_with_the_reason(target: str, words: str) -> None:
    with pytest.raises(FlowUnusable) as refused:
        load_flow(target)
    assert words in str(refused.value)


def test_two_files_of_one_name_are_not_confused(folder: Path) -> None:
    """The second file must not silently give the first one's Flow."""
    other = folder / "elsewhere"
    other.mkdir()
    (other / "tg_flow.py").write_text(FLOW_FILE)
    load_flow("tg_flow.py:Hello")
    with pytest.raises(FlowUnusable, match="that name is taken by"):
        load_flow("elsewhere/tg_flow.py:Hello")


async def test_inputs_reach_the_typed_state_and_the_state_is_the_output() -> None:
    """Text is converted as pydantic does; a Flow that returns nothing gives its state."""
    result = await run_flow(OrderFlow, {"count": "21"}, run="run-9")
    assert result.state == {"id": "run-9", "item": "tea", "count": 42}
    assert result.output == result.state
    assert result.run == "run-9"
    assert result.seconds >= 0


async def test_each_run_gets_a_fresh_flow_and_a_name_of_its_own() -> None:
    first, second = await run_flow(OrderFlow), await run_flow(OrderFlow)
    assert first.state["count"] == second.state["count"] == 2
    assert first.run != second.run


async def test_inputs_that_do_not_fit_are_all_named_before_any_agent_starts(server: ChatServer) -> None:
    with pytest.raises(InputsRefused) as refused:
        await run_flow(Asks, {"count": "many", "colour": "red"})
    assert [problem.field for problem in refused.value.problems] == ["colour", "count"]
    assert "colour: the state has no such field; it has item, count" in str(refused.value)
    assert "count: Input should be a valid integer" in str(refused.value)
    assert server.asked == []


async def test_an_untyped_state_takes_anything_and_outputs_become_json() -> None:
    result = await run_flow(Untyped, {"word": "x"})
    assert result.output == {"echo": "x", "of": [1]}


async def test_a_crew_s_output_becomes_its_text() -> None:
    assert (await run_flow(Asks)).output == "Fine."


async def test_a_streaming_flow_with_a_model_as_result_becomes_json() -> None:
    assert (await run_flow(ReturnsModel)).output == {"item": "cake", "count": 1}


async def test_a_failing_step_is_named_with_its_cause_and_the_state_so_far() -> None:
    with pytest.raises(RunFailed) as failed:
        await run_flow(Breaks, run="run-10")
    assert str(failed.value) == "Breaks failed in step 'broken': RuntimeError: the oven is cold"
    assert failed.value.state["item"] == "changed"
    assert (failed.value.run, failed.value.flow) == ("run-10", "Breaks")
    assert isinstance(failed.value.__cause__, RuntimeError)


async def test_a_run_that_stops_to_wait_for_a_person_has_not_ended_well() -> None:
    """CrewAI would return the wait as if it were the Flow's result."""
    with pytest.raises(RunFailed, match=r"WaitsForAPerson failed: HumanFeedbackPending"):
        await run_flow(WaitsForAPerson)


async def test_a_refusal_costs_one_request_and_tells_the_remedy(server: ChatServer) -> None:
    server.script = lambda _asked: Refusal(
        status=402, code="budget_exhausted", message="Budget daily is spent", headers={"x-should-retry": "false"}
    )
    with pytest.raises(RunFailed, match=r"in step 'talk': budget exhausted: Budget daily is spent. Wait for"):
        await run_flow(Asks)
    assert len(server.asked) == 1


async def test_a_state_without_defaults_is_explained() -> None:
    """CrewAI makes the state before it knows the inputs."""
    with pytest.raises(FlowUnusable, match=r"needs a valid default for each field of the state.*: needed"):
        await run_flow(NeedsDefault, {"needed": "x"})


async def test_a_flow_that_cannot_be_made_is_not_a_failed_run() -> None:
    with pytest.raises(FlowUnusable, match="RefusesToBeMade cannot be made: LookupError: no such thing"):
        await run_flow(RefusesToBeMade)
