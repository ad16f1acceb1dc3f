"""What all drawings say of a step or an edge, in the same words."""

from orchestrator.graph import Edge, Step

LOOP = "↺"
"""Beside an edge that leads back."""


def edge_words(edge: Edge) -> str:
    """The router's label, with a ``?`` where it is not declared, and whether it leads back; empty where it is plain."""
    label = "" if edge.label is None else edge.label if edge.declared else f"{edge.label}?"
    return " ".join(filter(None, (label, LOOP if edge.back else "")))


def step_words(step: Step) -> list[str]:
    """What stands below a step's name: its tiers, what it waits for where edges cannot tell, what a person is asked."""
    nested = " and " in step.condition and " or " in step.condition
    waits = [f"waits for {step.condition}"] if nested else []
    asked = [] if step.asks is None else [f"asks a person: {step.asks}"]
    return [*filter(None, [str(step.tiers)]), *waits, *asked]
