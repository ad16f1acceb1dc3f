"""A graph for Mermaid, which Markdown on most sites draws."""

from collections.abc import Iterator
from typing import Final

from orchestrator.graph import Edge, Graph, Step, StepKind
from orchestrator.plot.wording import edge_words, step_words

_SHAPES: Final = {StepKind.START: ("([", "])"), StepKind.ROUTER: ("{", "}"), StepKind.LISTENER: ("[", "]")}


def as_mermaid(graph: Graph) -> str:
    """A flowchart: starts are round, routers are diamonds, joins are small circles, undeclared labels are dotted."""
    joins = dict.fromkeys((edge.join, edge.target) for edge in graph.edges if edge.joined)
    lines = [
        f"%% {graph.flow}",
        "flowchart TD",
        *(_node(step) for step in graph.steps),
        *(f'    and{join}_{target}(("and")) --> s_{target}' for join, target in joins),
        *_edges(graph),
    ]
    return "\n".join(lines) + "\n"


def _node(step: Step) -> str:
    opening, closing = _SHAPES[step.kind]
    words = "<br/>".join(_escaped(each) for each in (step.name, *step_words(step)))
    return f'    s_{step.name}{opening}"{words}"{closing}'


def _edges(graph: Graph) -> Iterator[str]:
    for edge in graph.edges:
        target = f"and{edge.join}_{edge.target}" if edge.joined else f"s_{edge.target}"
        yield f"    s_{edge.source} {_arrow(edge)} {target}"


def _arrow(edge: Edge) -> str:
    words = edge_words(edge)
    arrow = "-->" if edge.declared else "-.->"
    return f'{arrow}|"{_escaped(words)}"|' if words else arrow


def _escaped(text: str) -> str:
    """Mermaid's own escapes; a line's end would end the node."""
    plain = " ".join(text.split())
    return plain.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")
