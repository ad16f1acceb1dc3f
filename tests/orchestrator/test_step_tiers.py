"""The tiers of a step are read from its code, and it says where that does not tell them."""

from typing import Any

import pytest
from crewai import LLM, Agent, Crew
from crewai.flow.flow import Flow, start

from orchestrator.flow import load_flow
from orchestrator.llm import tier
from orchestrator.step_tiers import TiersUsed, tiers_used
from tests.orchestrator.drawn_flows import Crews, Note, Reviewed, Vague


@pytest.mark.parametrize(
    ("step", "names"),
    [
        ("sources", ()),
        ("outline", ("routing",)),
        ("draft", ("reasoning", "thinking")),
        ("judge", ()),
        ("show", ("routing",)),
    ],
)
def test_tiers_are_found_in_helpers_arguments_and_other_methods(step: str, names: tuple[str, ...]) -> None:
    used = tiers_used(Reviewed, step)
    assert (sorted(used.names), used.known) == (sorted(names), True)


@pytest.mark.parametrize("step", ["pick", "ask_whom", "defaulted"])
def test_what_shows_only_at_run_time_is_not_guessed(step: str) -> None:
    assert tiers_used(Vague, step) == TiersUsed(known=False)
    assert str(tiers_used(Vague, step)) == "?"


def test_a_model_of_somebody_else_is_no_tier() -> None:
    assert tiers_used(Vague, "elsewhere") == TiersUsed()


@pytest.mark.parametrize(
    ("step", "used"),
    [
        ("configured", TiersUsed(names=("reasoning", "routing"))),
        ("undecided", TiersUsed(known=False)),
        ("broken", TiersUsed(known=False)),
        ("made", TiersUsed(names=("code", "reasoning", "routing"))),
        ("existing", TiersUsed(names=("code", "reasoning", "routing"))),
        ("handed_on", TiersUsed(names=("code", "reasoning", "routing"), known=False)),
        ("imported_here", TiersUsed(names=("routing",))),
        ("unnamed", TiersUsed(known=False)),
    ],
)
def test_crews_count_with_what_their_code_and_configuration_name(step: str, used: TiersUsed) -> None:
    found = tiers_used(Crews, step)
    assert TiersUsed(names=tuple(sorted(found.names)), known=found.known) == used


def test_tiers_stand_in_the_order_of_the_code() -> None:
    """A step's own call wakes the first; the others can be woken meanwhile."""
    assert tiers_used(Crews, "one_by_one").names == ("code", "routing", "reasoning")


@pytest.mark.usefixtures("settings")
def test_crews_and_agents_that_exist_are_asked_themselves() -> None:
    """In a module that makes them while it is imported."""
    stranger = Agent(role="s", goal="s", backstory="s", llm=LLM("far", base_url="http://127.0.0.1:9/v1", api_key="x"))
    writer = Agent(role="w", goal="w", backstory="w", llm=tier("reasoning"))
    crew = Crew(agents=[writer], tasks=[], planning_llm=tier("routing"))

    class Existing(Flow[Note]):
        @start()
        async def step(self) -> None:
            await crew.akickoff()

        @start()
        async def other(self) -> None:
            await stranger.kickoff_async("hello")

    assert sorted(tiers_used(Existing, "step").names) == ["reasoning", "routing"]
    assert tiers_used(Existing, "other") == TiersUsed()


def test_code_whose_source_is_not_there_tells_nothing() -> None:
    names: dict[str, Any] = {"Flow": Flow, "start": start, "__name__": __name__}
    exec("class Unseen(Flow):\n    @start()\n    def step(self): pass\n", names)
    assert tiers_used(names["Unseen"], "step") == TiersUsed(known=False)


def test_what_the_author_declares_goes_before_all_else() -> None:
    assert tiers_used(Vague, "declared") == TiersUsed(names=("code", "routing"))


def test_a_crew_counts_with_the_tiers_of_its_agents_file_and_of_its_code() -> None:
    example = load_flow("examples/support_triage/flow.py:SupportTriageFlow")
    assert tiers_used(example, "classify") == TiersUsed(names=("routing",))
    assert tiers_used(example, "investigate") == TiersUsed(names=("reasoning",))
    assert tiers_used(example, "report") == TiersUsed()
