"""Flows do without a memory where the store that CrewAI keeps it in is not installed, as in the slim set of packages.

CrewAI gives every Flow a memory as it is made, unless the Flow has ``_skip_auto_memory``, and loads a vector database
for that. Without the database no Flow at all could be made. A Flow that asks for its memory nevertheless (``recall``,
``remember``) hears that none is configured.
"""

from importlib.util import find_spec
from typing import Any, Final

from crewai.flow.flow import Flow

STORE: Final = "lancedb"
"""The package in which CrewAI keeps what is remembered."""


def make_flows_without_memory(flow_class: type[Flow[Any]] = Flow, *, store: str = STORE) -> None:
    """Have Flows made without a memory, where ``store`` is not installed. Calling it again changes nothing."""
    if find_spec(store) is None:
        setattr(flow_class, "_skip_auto_memory", True)  # noqa: B010 - a private name of another package
