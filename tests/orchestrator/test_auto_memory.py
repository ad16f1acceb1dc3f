"""Where no store of memory is installed, Flows are made without one, and say so when they are asked to remember."""

from typing import Any

import pytest
from crewai.flow.flow import Flow, start
from pydantic import BaseModel

from orchestrator.auto_memory import make_flows_without_memory


class Plain(BaseModel):
    """A state."""


class Parent(Flow[Plain]):
    """In place of CrewAI's own class, which other tests use too."""


class Unchanged(Parent):
    """As people write Flows."""

    @start()
    async def work(self) -> Any:  # noqa: ANN401 - CrewAI's
        """Needs what it has not."""
        return self.recall("anything")


async def test_a_flow_is_made_and_hears_that_it_has_no_memory() -> None:
    make_flows_without_memory(Parent, store="tg_no_such_package")
    make_flows_without_memory(Parent, store="tg_no_such_package")
    flow = Unchanged()
    assert flow.memory is None
    with pytest.raises(ValueError, match="No memory configured"):
        await flow.kickoff_async()


def test_an_installed_store_is_used() -> None:
    class Other(Flow[Plain]):
        """As ``Parent``."""

    make_flows_without_memory(Other, store="json")
    assert not getattr(Other, "_skip_auto_memory", False)
