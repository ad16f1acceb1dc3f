"""Which tiers may serve a request, in order, and why.

This runs once per request and depends on values alone. A named tier is one look-up; ``auto`` reads the routes
from the top until one matches. Neither walks through the tiers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tiers.estimate import likely_prompt_tokens
from tiers.naming import AUTO
from tiers.tiermap import Conditions, Tier, TierMap


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What routing may know of a request; texts are empty where the caller did not say."""

    model: str
    agent: str = ""
    key: str = ""
    flow: str = ""
    run: str = ""
    prompt_tokens: int = 0
    """The likely size of the prompt, from ``tiers.estimate.likely_prompt_tokens``."""
    tools: bool = False
    response_format: str = "text"
    """``text``, ``json_object`` or ``json_schema``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A tier that may serve the request.

    ``reason`` is ``tier``, ``alias`` or ``model`` as the caller named it, ``route:<name>``, or what came before:
    ``fallback``, ``spill-over``, ``escalation``, ``downgrade``, ``retry`` or ``continuation``.
    """

    tier: Tier
    reason: str
    priority: int = 0
    """Of the route that chose the tier: who waits for a slot goes before all of a lower one."""


class UnknownModel(LookupError):
    """The request's ``model`` is no name of the tier map.

    Attributes:
        model: What the request asked for.
        names: What it could have asked for, sorted.
    """

    def __init__(self, model: str, names: tuple[str, ...]) -> None:
        super().__init__(f'no tier, alias or model is called "{model}"; there are: {", ".join(names)}')
        self.model = model
        self.names = names


def candidates(tier_map: TierMap, profile: Profile) -> tuple[Candidate, ...]:
    """The tier that the request asks for, or that the routes choose for ``auto``, then its fallback tiers.

    Raises:
        UnknownModel: The model is no tier's name, alias or unambiguous model; or ``auto``, and there are no routes.
    """
    named = tier_map.names.get(profile.model)
    if named is not None:
        tier, reason = named
        priority = 0
    elif profile.model == AUTO and tier_map.routes:
        tier, reason, priority = _routed(tier_map, profile)
    else:
        offered = {*tier_map.names, AUTO} if tier_map.routes else tier_map.names
        raise UnknownModel(profile.model, tuple(sorted(offered)))
    return (
        Candidate(tier=tier, reason=reason, priority=priority),
        *(Candidate(tier=tier_map.tiers[name], reason="fallback") for name in tier.fallback),
    )


def likely_context(prompt_bytes: int, max_output: int | None, *, media: bool) -> int:
    """The context that a request likely needs: its prompt, and the answer that it asks for at most.

    0 where nothing can be said: a prompt with images or sound has fewer tokens than its size tells.
    """
    return 0 if media else likely_prompt_tokens(prompt_bytes) + (max_output or 0)


def escalated(found: Sequence[Candidate], larger: Sequence[Tier], *, needed: int, asked: bool) -> list[Candidate]:
    """The candidates of a request that its tier does not hold, or that ``asked`` for a larger one.

    First come the ``larger`` tiers that hold it; then the others that do, with the one that was asked for. Where no
    larger one does, nothing changes: the estimate may be wrong, and the endpoint knows.
    """
    if not asked and needed <= found[0].tier.context:
        return list(found)
    first = [Candidate(tier=tier, reason="escalation") for tier in larger if needed <= tier.context]
    if not first:
        return list(found)
    names = {candidate.tier.name for candidate in first}
    others = [one for one in found if needed <= one.tier.context and one.tier.name not in names]
    return first + others


def matches(when: Conditions, profile: Profile) -> bool:
    """Whether every condition that is set holds for the request."""
    return (
        (when.tools is None or when.tools == profile.tools)
        and (when.prompt_tokens is None or when.prompt_tokens.holds(profile.prompt_tokens))
        and _any(when.agent, profile.agent)
        and _any(when.key, profile.key)
        and _any(when.flow, profile.flow)
        and _any(when.run, profile.run)
        and _any(when.response_format, profile.response_format)
    )


def _routed(tier_map: TierMap, profile: Profile) -> tuple[Tier, str, int]:
    *conditional, last = tier_map.routes
    route = next((route for route in conditional if matches(route.when, profile)), last)
    return tier_map.tiers[route.tier], f"route:{route.name}", route.priority


def _any(patterns: tuple[str, ...], text: str) -> bool:
    return not patterns or (text != "" and any(fnmatchcase(text, pattern) for pattern in patterns))
