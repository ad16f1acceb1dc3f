"""A graph as lines for a terminal."""

from orchestrator.plot.text import as_text
from tests.orchestrator.plot.graphs import EVERYTHING

DRAWN = """\
Everything
  left  [routing]  start
      → end
  right  [code, ?]  start
      → end
  end
      waits for (left and right) or again
      → judge
  judge  router
      again ↺ → end
      good? → show
  show
      asks a person: Is "this" <fit> to print?
"""


def test_each_step_stands_with_its_tiers_above_what_it_leads_to() -> None:
    assert as_text(EVERYTHING) == DRAWN
