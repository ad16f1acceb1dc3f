"""Places on a page: no edge crosses a step."""

from orchestrator.graph import Edge, Graph
from orchestrator.plot.layout import laid_out
from tests.orchestrator.plot.graphs import EVERYTHING, step


def test_a_step_stands_below_all_that_lead_to_it_loops_aside() -> None:
    layout = laid_out(EVERYTHING)
    rows = {name: row for name, (_, row) in layout.steps.items()}
    assert rows == {"left": 0, "right": 0, "end": 1, "judge": 2, "show": 3}
    assert (layout.rows, layout.columns) == (4, 2)
    assert layout.steps["end"][0] == 0.5, "in the middle of a row that has room for two"


def test_an_edge_over_several_rows_has_a_place_of_its_own_in_each() -> None:
    long = Edge(source="a", target="c")
    edges = (Edge(source="a", target="b"), Edge(source="b", target="c"), long)
    layout = laid_out(Graph(flow="F", steps=(step("a"), step("b"), step("c")), edges=edges))
    assert [row for _, row in layout.ways[long]] == [0, 1, 2]
    assert layout.ways[long][1] != layout.steps["b"]
    assert len(set(layout.steps.values())) == 3


def test_branches_that_would_cross_change_places() -> None:
    steps = tuple(step(name) for name in ("a", "b", "of_b", "of_a"))
    edges = (Edge(source="b", target="of_b"), Edge(source="a", target="of_a"))
    places = laid_out(Graph(flow="F", steps=steps, edges=edges)).steps
    assert (places["a"][0] < places["b"][0]) == (places["of_a"][0] < places["of_b"][0])


def test_a_graph_of_nothing_has_no_places() -> None:
    assert laid_out(Graph(flow="F", steps=(), edges=())).steps == {}
