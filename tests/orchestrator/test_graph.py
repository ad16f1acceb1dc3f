"""A Flow's graph is read from its definition, and nothing of the Flow runs."""

import pytest

from orchestrator.flow import load_flow
from orchestrator.graph import Edge, Graph, StepKind, graph_of
from tests.orchestrator.drawn_flows import Reviewed, Vague
from tests.orchestrator.runs.kept_flows import Looped


@pytest.fixture(scope="module")
def reviewed() -> Graph:
    return graph_of(Reviewed)


def test_each_step_tells_when_it_runs_what_it_waits_for_and_whom_it_asks(reviewed: Graph) -> None:
    told = {step.name: (step.kind, step.starts, step.condition, step.labels, step.asks) for step in reviewed.steps}
    router, listener = StepKind.ROUTER, StepKind.LISTENER
    assert told == {
        "sources": (StepKind.START, True, "", (), None),
        "outline": (StepKind.START, True, "", (), None),
        "draft": (listener, False, "(sources and outline) or again", (), None),
        "judge": (router, False, "draft", ("again", "good"), None),
        "show": (router, False, "good", ("printed", "dropped"), "Is this fit to print?"),
        "publish": (listener, False, "printed", (), None),
    }


def test_edges_tell_labels_joins_and_loops(reviewed: Graph) -> None:
    assert reviewed.edges == (
        Edge(source="sources", target="draft", join=1),
        Edge(source="outline", target="draft", join=1),
        Edge(source="judge", target="draft", label="again", back=True),
        Edge(source="draft", target="judge"),
        Edge(source="judge", target="show", label="good"),
        Edge(source="show", target="publish", label="printed"),
    )


def test_a_router_that_names_no_labels_may_return_any_that_nobody_claims() -> None:
    edges = [edge for edge in graph_of(Vague).edges if edge.source == "choose"]
    assert {(edge.target, edge.label, edge.declared) for edge in edges} == {
        ("ask_whom", "left", False),
        ("defaulted", "right", False),
        ("elsewhere", "right", False),
        ("declared", "right", False),
    }


def test_a_start_with_a_condition_begins_a_run_where_no_other_does() -> None:
    draft = graph_of(Looped).step("draft")
    assert (draft.kind, draft.starts, draft.condition) == (StepKind.START, True, "again")


def test_the_tiers_of_the_next_steps_are_told_the_nearest_first() -> None:
    graph = graph_of(load_flow("examples/support_triage/flow.py:SupportTriageFlow"))
    assert [step.name for step in graph.next_steps("choose_branch")] == [
        "look_up_terms",
        "investigate",
        "note_open_question",
    ]
    assert graph.next_tiers("classify") == ("reasoning",), "through a router, which asks no model"
    assert graph.next_tiers("report", ahead=5) == ()


def test_a_loop_leads_back_to_the_step_itself_and_a_person_ends_the_view(reviewed: Graph) -> None:
    assert reviewed.next_tiers("draft") == ("thinking", "reasoning", "routing")
    assert reviewed.next_tiers("show", ahead=3) == ()


def test_a_step_that_is_not_there_is_not_found(reviewed: Graph) -> None:
    with pytest.raises(KeyError):
        reviewed.step("nowhere")
