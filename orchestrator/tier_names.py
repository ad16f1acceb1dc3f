"""A tier's name is all that an agent needs: ``llm: reasoning`` in ``agents.yaml``, ``Agent(llm="reasoning")``.

CrewAI takes a bare name for a model of some provider, guessed from its letters, and calls that provider. Where settings
are bound, as in every run of the orchestrator, a bare name is the gateway's: a tier, an alias, a model that it has,
or ``auto``. A name with a provider before it (``openai/gpt-4o``) and one that comes with an address, a key or other
options of a provider are left to CrewAI.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from crewai import LLM
from crewai.llms.base_llm import BaseLLM

from orchestrator.llm import tier
from orchestrator.settings import are_bound

_OPTIONS: Final = frozenset({"temperature", "top_p", "max_tokens", "seed", "stream", "timeout", "max_retries"})

_Mapped = Callable[[str, bool, dict[str, Any]], BaseLLM | None]


def let_names_be_tiers() -> None:
    """Have CrewAI build the tier-bound LLM for a bare name. Calling it again changes nothing."""
    current: _Mapped = LLM._overlay_mapped  # noqa: SLF001 - where CrewAI asks whether a name means something else
    if not isinstance(current, _Tiers):
        setattr(LLM, "_overlay_mapped", _Tiers(current))  # noqa: B010 - a private name of another package


class _Tiers:
    """In place of CrewAI's function from a name and options to the LLM that they stand for, if any."""

    def __init__(self, otherwise: _Mapped) -> None:
        self._otherwise = otherwise

    def __call__(self, model: str, is_litellm: bool, options: dict[str, Any]) -> BaseLLM | None:  # noqa: FBT001 - CrewAI's
        mapped = self._otherwise(model, is_litellm, options)
        if mapped is not None or is_litellm or "/" in model or not are_bound():
            return mapped
        given = _given(options)
        return tier(model, **given) if given.keys() <= _OPTIONS else None


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """What the caller set; CrewAI writes ``None`` for what it did not."""
    return {name: value for name, value in options.items() if value is not None}
