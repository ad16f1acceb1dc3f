"""A graph as text of one of several forms."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from orchestrator.graph import Graph
from orchestrator.plot.dot import as_dot
from orchestrator.plot.html import as_html
from orchestrator.plot.mermaid import as_mermaid
from orchestrator.plot.text import as_text

FORMS: Final[Mapping[str, Callable[[Graph], str]]] = MappingProxyType(
    {"text": as_text, "mermaid": as_mermaid, "dot": as_dot, "html": as_html}
)
"""Each form by its name on the command line."""


def draw(graph: Graph, form: str) -> str:
    """``graph`` in the form ``form``, with a newline at its end. Raises ``KeyError`` where there is no such form."""
    return FORMS[form](graph)
