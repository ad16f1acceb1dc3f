"""The checks of the gateway: ready, and an answer of each tier through it."""

from collections.abc import Sequence
from typing import Final

import httpx

from deploy.verify.answer import excerpt, failure
from deploy.verify.calls import answered_by
from deploy.verify.course import Course
from deploy.verify.finding import CheckFailed, Layer
from deploy.verify.subject import chat

LAYER: Final[Layer] = "gateway"
_REMEDIES = {
    "budget_exhausted": "a budget of that key's is spent: `tiergate-gateway budget explain` tells which",
    "tier_not_allowed": "the key may not use the tier: use another key for this, or extend it",
    "tier_cold": "the gateway finds no worker although the endpoint answered: has it read the fleet's state?",
    "model_not_found": "the gateway serves another tier map: have it read this one",
    "invalid_api_key": "the gateway does not know the key: see --gateway-key",
}


class GatewayChecks:
    """One gateway, asked with one key."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        """``client`` sends the gateway's key."""
        self._client = client
        self._url = url.rstrip("/").removesuffix("/v1")

    async def run(self, course: Course, tiers: Sequence[str], *, answering: frozenset[str]) -> bool:
        """Returns whether it serves every tier that answers by itself, and there is one; others are not asked."""
        ready = await course.check(LAYER, "", "ready", self._ready)
        good = ready and (bool(answering) or not tiers)
        for tier in tiers:

            async def served(tier: str = tier) -> Sequence[str]:
                return await self._served(tier)

            asked = tier in answering
            passed = await course.check(LAYER, tier, "answers", served, after=ready and asked)
            good = good and (passed or not asked)
        return good

    async def _ready(self) -> Sequence[str]:
        answer = await self._client.get(f"{self._url}/readyz")
        if not answer.is_success:
            remedy = "its answer says which part is not: without its store it serves nothing"
            raise CheckFailed("not_ready", evidence=[excerpt(answer.text)], remedy=remedy)
        return [self._url]

    async def _served(self, tier: str) -> Sequence[str]:
        answered = answered_by(await self._client.post(f"{self._url}/v1/chat/completions", json=chat(tier)))
        if answered.good and isinstance(answered.told, dict) and answered.told.get("choices"):
            message = answered.told["choices"][0].get("message") or {}
            return [excerpt(str(message.get("content") or message.get("reasoning_content") or ""))]
        wrong = failure(answered.status, answered.text, model=tier)
        told = answered.told if isinstance(answered.told, dict) else {}
        error = told.get("error")
        code = str(error.get("code")) if isinstance(error, dict) else wrong.cause
        remedy = _REMEDIES.get(code, "the error says what the gateway made of it; its log has the request")
        raise CheckFailed(code, evidence=wrong.evidence, remedy=remedy)
