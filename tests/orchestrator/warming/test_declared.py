"""A step says which tiers it uses, wherever the decorator stands."""

from typing import Any

import pytest
from crewai.flow.flow import Flow, listen, router, start

import orchestrator
from orchestrator.llm import tier
from orchestrator.step_tiers import DECLARED, tiers_used
from orchestrator.warming.declared import ATTRIBUTE, tiers


class Told(Flow[Any]):
    """Each step says it in its own way."""

    @tiers("routing", "reasoning", "routing")
    @start()
    def above(self) -> None:
        """Above the other decorator."""

    @listen(above)
    @tiers("routing")
    def below(self) -> None:
        """Below it."""

    @tiers()
    @router(below, emit=["done"])
    def nothing(self) -> str:
        """Says that it uses none, though it does."""
        return str(tier("routing").call("Hello?"))

    @listen("done")
    def silent(self) -> None:
        """Says nothing: its code is read."""
        tier("code").call("Hello?")


class Inherits(Told):
    """What is inherited is declared, too."""


@pytest.mark.parametrize("flow", [Told, Inherits])
def test_what_a_step_declares_is_found(flow: type) -> None:
    """Each tier once, in the order in which it was said."""
    told = {step: tiers_used(flow, step).names for step in ("above", "below", "nothing", "silent")}
    assert told == {"above": ("routing", "reasoning"), "below": ("routing",), "nothing": (), "silent": ("code",)}
    assert ATTRIBUTE == DECLARED


@pytest.mark.parametrize("given", [(test_what_a_step_declares_is_found,), (3,), ("",)])
def test_what_is_no_name_is_refused(given: Any) -> None:  # noqa: ANN401 - what somebody wrote in error
    """Also ``@tiers`` without parentheses, whose method would be gone else."""
    with pytest.raises(TypeError, match="names of tiers"):
        tiers(*given)


def test_it_is_imported_from_the_package() -> None:
    assert orchestrator.tiers is tiers
