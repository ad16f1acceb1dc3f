"""Second step: which tiers may serve the request, in which order. Adds ``exchange.candidates``."""

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.errors import InvalidRequest, ModelNotFound, TierNotAllowed
from gateway.exchange import Caller
from gateway.wire.call import Call
from gateway.wire.headers import Header
from gateway.wire.identity import Identity
from tiers.estimate import likely_prompt_tokens
from tiers.naming import AUTO
from tiers.routing import Candidate, Profile, UnknownModel, candidates, escalated, likely_context
from tiers.tiermap import Tier, TierMap

ESCALATE: Final = b"x-tiergate-escalate"
"""The request's header with which a caller asks for the larger tier; ``true`` or ``false``."""
_SHOWN_NAMES_MAX: Final = 20


class Router:
    """Chooses by the tier map alone."""

    def __init__(self, tier_map: TierMap) -> None:
        self._map = tier_map
        self._named = {name: candidates(tier_map, Profile(model=name)) for name in tier_map.names}

    def __call__(self, call: Call, identity: Identity, caller: Caller) -> Sequence[Candidate]:
        """The tier that the request asks for, then its fallback tiers that the caller may use.

        Raises:
            ModelNotFound: ``model`` is no name of the tier map.
            TierNotAllowed: The caller's key may not use the tier.
        """
        found = self._named.get(call.model) or self._routed(call, identity, caller)
        if caller.tiers is None:
            return found
        if found[0].tier.name not in caller.tiers:
            raise TierNotAllowed(f"The key {caller.name!r} may not use the tier {found[0].tier.name!r}.", param="model")
        return [candidate for candidate in found if candidate.tier.name in caller.tiers]

    def escalated(
        self, found: Sequence[Candidate], call: Call, headers: Sequence[Header], caller: Caller
    ) -> Sequence[Candidate]:
        """The same, for a first tier that may escalate: with larger tiers first where the prompt does not fit, or the
        caller asks for it.

        Raises:
            InvalidRequest: The caller asks in words that are not known.
        """
        needed = likely_context(len(call.body), call.max_output, media=call.prompt.unbounded)
        return escalated(found, self.larger(found[0].tier, caller), needed=needed, asked=_asked(headers))

    def larger(self, tier: Tier, caller: Caller) -> list[Tier]:
        """The tiers to which ``tier`` escalates and that the caller may use."""
        return [self._map.tiers[name] for name in tier.escalation if caller.tiers is None or name in caller.tiers]

    def cheaper(self, tier: Tier, caller: Caller) -> Tier | None:
        """The tier that serves where a budget of ``tier`` is spent, if there is one that the caller may use."""
        name = tier.downgrade
        if name is None or (caller.tiers is not None and name not in caller.tiers):
            return None
        return self._map.tiers[name]

    def _routed(self, call: Call, identity: Identity, caller: Caller) -> Sequence[Candidate]:
        profile = Profile(
            model=call.model,
            agent=identity.agent,
            key=caller.name,
            flow=identity.flow,
            run=identity.run,
            prompt_tokens=likely_prompt_tokens(len(call.body)),
            tools=call.tools,
            response_format=call.response_format,
        )
        try:
            return candidates(self._map, profile)
        except UnknownModel as error:
            names = list(self.names(caller))
            shown = ", ".join(names[:_SHOWN_NAMES_MAX]) + (", …" if len(names) > _SHOWN_NAMES_MAX else "")
            raise ModelNotFound(
                f"No tier, alias or model is called {call.model!r} here. There are: {shown}.", param="model"
            ) from error

    def names(self, caller: Caller) -> Mapping[str, str]:
        """What the caller may send as ``model`` → the tier that serves it (``auto`` → ``auto``)."""
        allowed = {
            name: tier.name
            for name, (tier, _) in self._map.names.items()
            if caller.tiers is None or tier.name in caller.tiers
        }
        return allowed | ({AUTO: AUTO} if self._map.routes else {})

    def contexts(self, tier: str, caller: Caller) -> tuple[int, int] | None:
        """How many tokens a request by that name's tier may have: there, and in the largest tier that it escalates to.

        For ``auto``, where no one tier is meant, what is sure wherever a route leads; ``None`` where none does.
        """
        names = [tier] if tier != AUTO else [route.tier for route in self._map.routes]
        tiers = [self._map.tiers[name] for name in names if caller.tiers is None or name in caller.tiers]
        if not tiers:
            return None
        widest = [max([one.context, *[larger.context for larger in self.larger(one, caller)]]) for one in tiers]
        return min([one.context for one in tiers]), min(widest)


def _asked(headers: Sequence[Header]) -> bool:
    for name, value in headers:
        if name == ESCALATE:
            wanted = value.strip().lower()
            if wanted not in {b"true", b"false"}:
                raise InvalidRequest("The header x-tiergate-escalate is true or false.", param=ESCALATE.decode())
            return wanted == b"true"
    return False
