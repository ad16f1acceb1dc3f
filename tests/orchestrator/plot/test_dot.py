"""A graph for Graphviz."""

from orchestrator.plot.dot import as_dot
from tests.orchestrator.plot.graphs import EVERYTHING

DRAWN = r"""digraph "Everything" {
  "left" [shape=oval, label="left\nrouting"];
  "right" [shape=oval, label="right\ncode, ?"];
  "end" [shape=box, label="end\nwaits for (left and right) or again"];
  "judge" [shape=diamond, label="judge"];
  "show" [shape=box, label="show\nasks a person: Is \"this\" <fit> to print?"];
  "and 1 end" [shape=circle, label="and"];
  "and 1 end" -> "end";
  "left" -> "and 1 end";
  "right" -> "and 1 end";
  "judge" -> "end" [label="again ↺"];
  "end" -> "judge";
  "judge" -> "show" [label="good?", style=dotted];
}
"""


def test_steps_have_shapes_joins_a_place_of_their_own_and_texts_are_escaped() -> None:
    assert as_dot(EVERYTHING) == DRAWN
