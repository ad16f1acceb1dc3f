"""The names in a tier map: what a caller may send as ``model``, and what names may look like."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from tiers.paths import ANY, Path, select
from tiers.problems import Finding, quoted
from tiers.tiermap import Tier

AUTO = "auto"
"""The model name that asks for the routes; no tier, alias or model may be called so."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}", re.ASCII)
_ROUTE_NAME = re.compile(r"[a-z0-9][a-z0-9 ._-]{0,62}", re.ASCII)
_FOREIGN_PREFIXES = ("claude-", "gemini-", "gemma-", "learnlm-")


def names(tiers: Mapping[str, Tier]) -> Mapping[str, tuple[Tier, str]]:
    """Every name of every tier → the tier and how it was named: ``tier``, ``alias`` or ``model``.

    A tier's name goes before an alias, an alias before a model. A model that two tiers share is left out: it
    says nothing about which of them is meant, so callers name the tier or an alias instead.
    """
    served_by = Counter(tier.model for tier in tiers.values())
    found = {tier.model: (tier, "model") for tier in tiers.values() if served_by[tier.model] == 1}
    found |= {alias: (tier, "alias") for tier in tiers.values() for alias in tier.aliases}
    found |= {tier.name: (tier, "tier") for tier in tiers.values()}
    return MappingProxyType(found)


def findings(data: object) -> Iterator[Finding]:
    """Every name in the document that is malformed, reserved, misread by CrewAI, taken or ambiguous."""
    for path, _ in select(data, "tiers", ANY):
        yield from _tier_name(path, str(path[-1]))
    # Refusals and balances name a budget and a limit alike.
    for sections, pattern in ((("budgets", "limits"), _NAME), (("keys",), _NAME), (("routes",), _ROUTE_NAME)):
        taken: dict[str, str] = {}
        for section in sections:
            for path, name in select(data, section, ANY, "name"):
                if not isinstance(name, str):
                    continue
                yield from _form(path, name, pattern)
                if name in taken:
                    other = "one" if taken[name] == section else taken[name].removesuffix("s")
                    yield Finding(
                        path=path, message=f"another {other} is called {quoted(name)}", remedy="rename one of them"
                    )
                taken.setdefault(name, section)
    yield from _ambiguities(data)


def _tier_name(path: Path, name: str) -> Iterator[Finding]:
    for finding in _form(path, name, _NAME):
        yield finding
        return
    if name == AUTO:
        yield _reserved(path)
    trap = next((prefix for prefix in _FOREIGN_PREFIXES if name.startswith(prefix)), None)
    if trap:
        effect = f"starts with {trap}: CrewAI would send it to another provider instead of this gateway"
    elif "anthropic." in name:
        effect = "contains anthropic.: CrewAI would send it to another provider instead of this gateway"
    elif "o1" in name:
        effect = "contains o1: CrewAI would take it for a model without tools and stop words"
    elif "gpt-5" in name:
        effect = "contains gpt-5: CrewAI would take it for a model without stop words"
    else:
        return
    yield Finding(path=path, message=f"the name {effect}", remedy="choose another name for the tier")


def _form(path: Path, name: str, pattern: re.Pattern[str]) -> Iterator[Finding]:
    if not pattern.fullmatch(name):
        spaces = ", spaces" if pattern is _ROUTE_NAME else ""
        yield Finding(
            path=path,
            message=f"{quoted(name)} is no valid name",
            remedy=f"use up to 63 of a-z, 0-9, dots, dashes, underscores{spaces}; start with a letter or digit",
        )


def _ambiguities(data: object) -> Iterator[Finding]:
    """Names by which a caller could mean two tiers. (A model that two tiers share is no name at all.)"""
    tiers = {str(path[-1]) for path, _ in select(data, "tiers", ANY)}
    aliased: dict[str, str] = {}
    for path, alias in select(data, "tiers", ANY, "aliases", ANY):
        if not isinstance(alias, str):
            continue
        tier = str(path[1])
        if alias == AUTO:
            yield _reserved(path)
        elif alias in tiers and alias != tier:
            yield _taken(path, f"the alias {quoted(alias)} is the name of another tier")
        elif aliased.setdefault(alias, tier) != tier:
            yield _taken(path, f"the alias {quoted(alias)} is taken by tier {quoted(aliased[alias])}")
    for path, model in select(data, "tiers", ANY, "model"):
        if not isinstance(model, str):
            continue
        tier = str(path[1])
        if model == AUTO:
            yield _reserved(path)
        elif model in tiers and model != tier:
            yield _taken(path, f"the model {quoted(model)} is the name of another tier")
        elif aliased.get(model, tier) != tier:
            yield _taken(path, f"the model {quoted(model)} is an alias of tier {quoted(aliased[model])}")


def _reserved(path: Path) -> Finding:
    return Finding(
        path=path,
        message='"auto" is reserved: it asks for the routes',
        remedy="choose another name",
    )


def _taken(path: Path, message: str) -> Finding:
    return Finding(path=path, message=message, remedy="rename one of them: a caller's `model` must mean one tier")
