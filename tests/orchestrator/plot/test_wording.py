"""All drawings say the same of a step and of an edge."""

from orchestrator.graph import Edge
from orchestrator.plot.wording import edge_words, step_words
from tests.orchestrator.plot.graphs import EVERYTHING, step


def test_an_edge_tells_its_label_whether_that_is_declared_and_whether_it_leads_back() -> None:
    assert [edge_words(edge) for edge in EVERYTHING.edges] == ["", "", "again ↺", "", "good?"]
    assert edge_words(Edge(source="a", target="b", back=True)) == "↺"


def test_a_step_tells_its_tiers_a_nested_condition_and_what_a_person_is_asked() -> None:
    assert {each.name: step_words(each) for each in EVERYTHING.steps} == {
        "left": ["routing"],
        "right": ["code, ?"],
        "end": ["waits for (left and right) or again"],
        "judge": [],
        "show": ['asks a person: Is "this" <fit> to print?'],
    }
    assert step_words(step("plain", condition="a and b")) == [], "its edges tell that"
