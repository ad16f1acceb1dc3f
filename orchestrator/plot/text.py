"""A graph as lines for a terminal."""

from collections.abc import Iterator

from orchestrator.graph import Graph, Step, StepKind
from orchestrator.plot.wording import edge_words


def as_text(graph: Graph) -> str:
    """Each step with its kind and tiers, and below it what it leads to."""
    return "\n".join([graph.flow, *(line for step in graph.steps for line in _lines(graph, step))]) + "\n"


def _lines(graph: Graph, step: Step) -> Iterator[str]:
    kind = [step.kind.value] if step.kind is not StepKind.LISTENER else []
    kind += ["start"] if step.starts and step.kind is not StepKind.START else []
    tiers = f"[{step.tiers}]" if str(step.tiers) else ""
    yield "  " + "  ".join(filter(None, [step.name, tiers, *kind]))
    if step.asks is not None:
        yield f"      asks a person: {step.asks}"
    if any(edge.joined for edge in graph.edges if edge.target == step.name):
        yield f"      waits for {step.condition}"
    for edge in graph.edges:
        if edge.source == step.name:
            yield " ".join(filter(None, ["     ", edge_words(edge), "→", edge.target]))
