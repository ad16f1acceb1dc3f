"""The page of bounds says the figures that the code has."""

from pathlib import Path

from gateway.extension import END_SECONDS, LEAD_SECONDS, STEP_SECONDS, TICK_SECONDS
from tiers.estimate import RENDERED_FACTOR
from tiers.tiermap import Tier

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "overshoot.md"


def test_its_figures_are_those_of_the_code() -> None:
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    template = Tier.__dataclass_fields__["template_tokens"].default
    for said in (
        f"| {STEP_SECONDS:g} s, or all of the above where that is less; {STEP_SECONDS:g} s more",
        f"more from {LEAD_SECONDS:g} s before they are used up",
        f"it ends {END_SECONDS:g} s before what is held is used up",
        f"`timeouts.total` and {END_SECONDS:g} s",
        f"looked at every {TICK_SECONDS:g} s",
        f"{RENDERED_FACTOR} \N{MULTIPLICATION SIGN} the body's bytes",
        f"`template_tokens` ({template} unless",
    ):
        assert said in text, said
