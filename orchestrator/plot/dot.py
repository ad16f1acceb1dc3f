"""A graph for Graphviz."""

from collections.abc import Iterator
from typing import Final

from orchestrator.graph import Edge, Graph, Step, StepKind
from orchestrator.plot.wording import edge_words, step_words

_SHAPES: Final = {StepKind.START: "oval", StepKind.ROUTER: "diamond", StepKind.LISTENER: "box"}


def as_dot(graph: Graph) -> str:
    """A directed graph: starts are ovals, routers are diamonds, joins are points, undeclared labels are dotted."""
    joins = dict.fromkeys((edge.join, edge.target) for edge in graph.edges if edge.joined)
    lines = [
        f"digraph {_quoted(graph.flow)} {{",
        *(f"  {_quoted(step.name)} [shape={_SHAPES[step.kind]}, label={_label(step)}];" for step in graph.steps),
        *(line for join, target in joins for line in _junction(join, target)),
        *(f"  {_quoted(edge.source)} -> {_target(edge)}{_attributes(edge)};" for edge in graph.edges),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _junction(join: int, target: str) -> Iterator[str]:
    yield f'  {_quoted(f"and {join} {target}")} [shape=circle, label="and"];'
    yield f"  {_quoted(f'and {join} {target}')} -> {_quoted(target)};"


def _target(edge: Edge) -> str:
    return _quoted(f"and {edge.join} {edge.target}" if edge.joined else edge.target)


def _attributes(edge: Edge) -> str:
    words = edge_words(edge)
    given = [*([f"label={_quoted(words)}"] if words else []), *([] if edge.declared else ["style=dotted"])]
    return f" [{', '.join(given)}]" if given else ""


def _label(step: Step) -> str:
    return _quoted("\n".join((step.name, *(" ".join(words.split()) for words in step_words(step)))))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
