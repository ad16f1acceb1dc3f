"""The orchestrator: runs CrewAI Flows whose agents reach their models through the gateway, and nothing else.

Read ``flow.py`` first: it turns MODULE:CLASS into a Flow, checks the inputs and runs it. ``llm.py`` is what
an agent gets when it names a tier, ``identity.py`` how each call says who makes it, ``settings.py`` the only
reader of the environment, ``cli.py`` the command. ``app.py`` hosts a Flow behind a load balancer.

Importing this package imports no CrewAI: that takes seconds, and ``settings.prepare_crewai`` has to run before it. Only
``from orchestrator import tier``, for people's own crews, does.
"""

from typing import TYPE_CHECKING

from orchestrator.warming.declared import tiers

if TYPE_CHECKING:
    from orchestrator.llm import tier

__all__ = ["tier", "tiers"]


def __getattr__(name: str) -> object:
    """``tier``, when it is asked for."""
    if name != "tier":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from orchestrator.llm import tier  # noqa: PLC0415 - see above

    return tier
