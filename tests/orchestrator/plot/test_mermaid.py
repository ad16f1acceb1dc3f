"""A graph for Mermaid."""

from orchestrator.plot.mermaid import as_mermaid
from tests.orchestrator.plot.graphs import EVERYTHING

DRAWN = """\
%% Everything
flowchart TD
    s_left(["left<br/>routing"])
    s_right(["right<br/>code, ?"])
    s_end["end<br/>waits for (left and right) or again"]
    s_judge{"judge"}
    s_show["show<br/>asks a person: Is #quot;this#quot; #lt;fit#gt; to print?"]
    and1_end(("and")) --> s_end
    s_left --> and1_end
    s_right --> and1_end
    s_judge -->|"again ↺"| s_end
    s_end --> s_judge
    s_judge -.->|"good?"| s_show
"""


def test_steps_have_shapes_joins_a_place_of_their_own_and_texts_are_escaped() -> None:
    assert as_mermaid(EVERYTHING) == DRAWN
