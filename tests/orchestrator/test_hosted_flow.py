"""Flows that are hosted: what they take, and their names."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.errors import FlowUnusable, InputsRefused
from orchestrator.hosted_flow import HostedFlow, load_flows
from orchestrator.runs.fingerprint import fingerprint

FLOW = """
from crewai.flow.flow import Flow, start
from pydantic import BaseModel

class State(BaseModel):
    name: str = "Ada"
    runs: list[str] = []

class Typed(Flow[State]):
    _skip_auto_memory = True

    @start()
    async def work(self):
        return self.state.name

class Untyped(Flow):
    _skip_auto_memory = True

    @start()
    async def work(self):
        return 1
"""


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """The target of a class in a file of Flows."""
    file = tmp_path / "tg_hosted_flow.py"
    file.write_text(FLOW)
    path = list(sys.path)
    yield lambda name: f"{file}:{name}"
    sys.path[:] = path
    sys.modules.pop(file.stem, None)


def test_inputs_are_held_against_the_state_again_and_again(target: Callable[[str], str]) -> None:
    """What one request asks with is not seen by the next."""
    flow = HostedFlow.load(target("Typed"))
    for _ in range(2):
        flow.check({"name": "Grace", "runs": ["a"]})
        with pytest.raises(InputsRefused) as refused:
            flow.check({"colour": "red", "name": [1]})
        assert [problem.field for problem in refused.value.problems] == ["colour", "name"]
    assert flow.sample.state.model_dump(exclude={"id"}) == {"name": "Ada", "runs": []}


def test_it_tells_its_name_its_code_and_what_it_takes(target: Callable[[str], str]) -> None:
    flow = HostedFlow.load(target("Typed"))
    assert (flow.name, flow.code) == ("Typed", fingerprint(flow.flow_class))
    assert set(flow.inputs_schema()["properties"]) == {"name", "runs"}
    untyped = HostedFlow.load(target("Untyped"))
    untyped.check({"anything": 1})
    assert untyped.inputs_schema() == {"type": "object"}


def test_any_number_of_flows_is_hosted_each_under_its_own_name(target: Callable[[str], str]) -> None:
    assert list(load_flows((target("Typed"), target("Untyped")))) == ["Typed", "Untyped"]
    with pytest.raises(FlowUnusable, match="named Typed already"):
        load_flows((target("Typed"), target("Typed")))


def test_what_is_no_flow_cannot_be_hosted() -> None:
    with pytest.raises(FlowUnusable):
        load_flows(("tg_no_such_module:Flow",))
