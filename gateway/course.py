"""Where a request goes after a try that did not bring its answer: decided here, done by the pipeline.

    what ended the try                       what comes next                                          its reason
    it failed: unreachable, broken, 429, 5xx the same tier, at another endpoint or after a wait       retry
    … too often, or it was silent or refused the tier's next fallback                                 fallback
    no endpoint may be asked                 the next fallback                                        fallback
    no slot                                  the next fallback                                        spill-over
    the prompt does not fit                  the next tier that it fits into                          escalation
    a budget of the first tier is spent      the tier's cheaper one                                   downgrade
    a stream broke that can be continued     the same tier, then fallbacks with the same model        continuation

Two bounds hold for all of it. The tier that was asked for says how many *tries* a request may make, wherever: a try is
one that went to an endpoint. One of them is kept for every tier that is still to come, so that repeating does not use
up what falling back needs. And nothing begins, nor is waited for, beyond that tier's *deadline*.

An object is made at the first failure; a request that is answered at once knows nothing of all this.
"""

from collections.abc import Callable
from typing import Final

from gateway.errors import (
    BudgetExhausted,
    EndpointsUnavailable,
    GatewayError,
    TierSaturated,
    UpstreamAnswered,
    UpstreamRefused,
    UpstreamTimeout,
)
from gateway.exchange import Attempt, Exchange
from gateway.route import Router
from gateway.upstream.flight import BegunAnswer
from gateway.wire.too_long import is_too_long, tokens_named
from tiers.backoff import wait_seconds
from tiers.routing import Candidate, likely_context
from tiers.tiermap import Tier

SOON_SECONDS: Final = 1.0
"""What a client is told where an endpoint failed and did not say when to come back."""
_BAD_REQUEST: Final = 400


class TooLong(Exception):
    """An endpoint refused the request because it does not fit; ``answer`` is its 400, to be passed on if need be."""

    def __init__(self, attempt: Attempt, answer: BegunAnswer) -> None:
        super().__init__()
        self.attempt = attempt
        self.answer = answer


def check_length(attempt: Attempt, answer: BegunAnswer) -> None:
    """Raise ``TooLong`` where ``answer`` says that the request does not fit."""
    if answer.status == _BAD_REQUEST and is_too_long(answer.body):
        raise TooLong(attempt, answer)


class Course:
    """The further way of one request.

    Attributes:
        latest: Its deadline, by the monotonic clock.
        avoid: Endpoints that failed it.
    """

    __slots__ = (
        "_broke", "_candidate", "_continuing", "_draw", "_exchange", "_failed", "_failures", "_left", "_limit",
        "_needed", "_refused", "_route", "_tries", "_waits", "avoid", "latest",
    )  # fmt: skip

    def __init__(self, exchange: Exchange, route: Router, draw: Callable[[], float]) -> None:
        """``draw`` makes random numbers from 0 to below 1."""
        call = exchange.call
        self._candidate = exchange.candidates[0]
        asked = self._candidate.tier
        self._exchange = exchange
        self._route = route
        self._draw = draw
        self._left = list(exchange.candidates[1:])
        self._limit = asked.retry.attempts
        self._needed = (
            likely_context(len(call.body), call.max_output, media=call.prompt.unbounded) if call is not None else 0
        )
        self._tries = 0
        self._failures = 0
        self._waits = 0
        self._continuing = False
        self._broke = False
        # Errors are kept without their tracebacks, whose frames hold this object.
        self._failed: GatewayError | None = None
        self._refused: BudgetExhausted | TooLong | None = None
        self.latest = min(exchange.received_at + asked.timeouts.total, exchange.due)
        self.avoid: set[str] = set()

    def after(self, error: Exception, now: float) -> tuple[Candidate, float] | None:
        """What to try after a try ended with ``error``, and how many seconds to wait before it; ``None`` is nothing.

        The first failure is the request's; but once its answer had begun, that the answer broke.
        """
        attempt = self._exchange.attempt
        if attempt is not None and attempt.begun:
            self._break_off()
        else:
            self._broke = False
        self._note(error, attempt)
        return self._next(error, now)

    @property
    def refusal(self) -> TooLong | None:
        """Whose answer the client is to get: an endpoint refused the request, and no other try failed."""
        return self._refused if self._failed is None and isinstance(self._refused, TooLong) else None

    def verdict(self) -> Exception:
        """What the client is to be told of, where there is no ``refusal``: the first failure, or a spent budget.

        It is given away: whoever raises it makes a traceback, whose frames must not lead back to it.
        """
        told = self._failed or self._refused
        self._failed = self._refused = None
        if isinstance(told, UpstreamAnswered) and told.retry_after_seconds is None:
            told.retry_after_seconds = SOON_SECONDS
        return told or GatewayError("The request ended without an answer and without an error.")

    def _break_off(self) -> None:
        """The stream that the client is reading broke: from now on only what is missing is asked for."""
        self._failed = None
        self._failures = 0
        self._continuing = self._broke = True
        model = self._candidate.tier.model
        self._left = [candidate for candidate in self._left if candidate.tier.model == model]
        if self._exchange.unfinished is not None:
            self._exchange.call = self._exchange.unfinished.rest()

    def _note(self, error: Exception, attempt: Attempt | None) -> None:
        error.__traceback__ = None
        if isinstance(error, (BudgetExhausted, TooLong)):
            self._refused = self._refused or error
            if isinstance(error, TooLong):
                self._tries += 1
                named = tokens_named(error.answer.body)
                self._needed = max(self._needed, named, self._candidate.tier.context + 1)
        elif isinstance(error, GatewayError):
            self._failed = self._failed or error
            if not isinstance(error, (TierSaturated, EndpointsUnavailable)):
                self._tries += 1
                self._failures += 1
                if attempt is not None:
                    self.avoid.add(attempt.endpoint_name)

    def _next(self, error: Exception, now: float) -> tuple[Candidate, float] | None:
        if now >= self.latest or self._tries >= self._limit:
            return None
        if isinstance(error, BudgetExhausted):
            return self._after_spending() if error.cheaper else None
        if isinstance(error, TierSaturated):
            return self._following("spill-over")
        if isinstance(error, EndpointsUnavailable):
            return self._following("fallback") or self._rested(error, now)
        return self._escalated() if isinstance(error, TooLong) else self._after_failure(error, now)

    @property
    def _untried(self) -> bool:
        return any(endpoint.name not in self.avoid for endpoint in self._candidate.tier.endpoints)

    def _after_failure(self, error: Exception, now: float) -> tuple[Candidate, float] | None:
        """A silent endpoint, or one that refuses the gateway, is not asked twice; others may do better next time."""
        if isinstance(error, (UpstreamRefused, UpstreamTimeout)) and not self._broke:
            return self._following("fallback") or (self._repeated(error, now) if self._untried else None)
        return self._repeated(error, now) or self._following("fallback")

    def _repeated(self, error: Exception, now: float) -> tuple[Candidate, float] | None:
        """The same tier again: at once at an endpoint that has not failed, else after a wait that fits."""
        tier = self._candidate.tier
        if self._limit - self._tries <= sum(self._fits(candidate.tier) for candidate in self._left):
            return None
        wait: float | None = 0.0
        if not self._untried:
            asked = error.retry_after_seconds if isinstance(error, UpstreamAnswered) else None
            wait = wait_seconds(tier.retry, self._failures, self._draw(), asked)
        if wait is None or now + wait >= self.latest:
            return None
        return self._go(tier, "retry"), wait

    def _rested(self, error: EndpointsUnavailable, now: float) -> tuple[Candidate, float] | None:
        """The same tier, once its endpoint wants to be asked again: where it is well, and that is soon."""
        if not error.resting or self._waits >= self._limit:
            return None
        self._waits += 1
        tier = self._candidate.tier
        wait = wait_seconds(tier.retry, self._waits, self._draw(), error.retry_after_seconds)
        if wait is None or now + wait >= self.latest:
            return None
        return self._go(tier, self._candidate.reason), wait

    def _following(self, reason: str) -> tuple[Candidate, float] | None:
        while self._left:
            tier = self._left.pop(0).tier
            if self._fits(tier):
                self._failures = 0
                return self._go(tier, reason), 0.0
        return None

    def _escalated(self) -> tuple[Candidate, float] | None:
        """The next tier to escalate to that holds the request; a fallback only where that is not the first failure."""
        asked, caller = self._exchange.candidates[0].tier, self._exchange.caller
        larger = self._route.larger(asked, caller) if caller is not None else []
        seen = {attempt.tier.name for attempt in self._exchange.attempts}
        higher = [Candidate(tier=tier, reason="escalation") for tier in larger if tier.name not in seen]
        higher += [candidate for candidate in self._left if candidate.reason == "escalation"]
        if self._failed is None and not any(self._fits(candidate.tier) for candidate in higher):
            return None
        names = {candidate.tier.name for candidate in higher}
        self._left = higher + [candidate for candidate in self._left if candidate.tier.name not in names]
        return self._following("escalation")

    def _after_spending(self) -> tuple[Candidate, float] | None:
        """The cheaper tier, and no other: a fallback would be a way around the budget. After a failure a fallback."""
        if self._tries or self._candidate.tier is not self._exchange.candidates[0].tier:
            return self._following("fallback")
        self._left.clear()
        caller = self._exchange.caller
        tier = self._route.cheaper(self._candidate.tier, caller) if caller is not None else None
        return (self._go(tier, "downgrade"), 0.0) if tier is not None and self._fits(tier) else None

    def _fits(self, tier: Tier) -> bool:
        return self._needed <= tier.context

    def _go(self, tier: Tier, reason: str) -> Candidate:
        self._candidate = Candidate(tier=tier, reason="continuation" if self._continuing else reason)
        return self._candidate
