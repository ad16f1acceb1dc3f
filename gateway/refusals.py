"""What a request is told for which a budget or a rate has not enough left."""

from gateway.budget.ledger import NoBudget
from gateway.errors import BudgetExhausted, BudgetTooSmall, RateLimited
from tiers.budgets import brought_by_run, limit_text
from tiers.holds import Concern
from tiers.wording import amount_text, duration_text, reset_text

RETRY_SECONDS_MAX = 120.0
"""The OpenAI SDK does not wait longer than that."""


def exhausted(answer: NoBudget) -> BudgetExhausted:
    """A budget's refusal: how much is left of how much, and when it begins anew."""
    concern, need = answer.hold.concern, amount_text(answer.hold.amount, answer.hold.concern.unit)
    if answer.hold.amount > concern.limit:
        error: BudgetExhausted = BudgetTooSmall(
            f"This request may cost up to {need}, more than the whole budget {_named(concern)} ({limit_text(concern)})."
            f" Ask for a shorter answer (max_tokens) or raise the budget {_where(concern)}.",
        )
    elif brought_by_run(concern):
        error = BudgetExhausted(
            f"The budget {_named(concern)} has {_left(answer)} left of {limit_text(concern)}; this request may cost up"
            f" to {need}. Nothing comes back to it but what is held now."
        )
    else:
        more = "More is left in" if concern.window.kind == "rolling" else "The window ends in"
        error = BudgetExhausted(
            f"The budget {_named(concern)} has {_left(answer)} left of {limit_text(concern)}; this request may cost up"
            f" to {need}. {more} {duration_text(round(answer.window_ends_in_seconds))}.",
            retry_after_seconds=answer.window_ends_in_seconds,
        )
    error.cheaper = concern.spent != "reject"
    error.param = concern.budget if brought_by_run(concern) else None
    return error


def rate_limited(answer: NoBudget) -> RateLimited:
    """A rate's refusal, with OpenAI's headers: what a minute allows, what is left of it, and when more is."""
    concern, need = answer.hold.concern, amount_text(answer.hold.amount, answer.hold.concern.unit)
    seconds = answer.window_ends_in_seconds
    fits = answer.hold.amount <= concern.limit
    error = RateLimited(
        f"The limit {_named(concern)} allows {limit_text(concern)} and has {_left(answer)} left; this request may take"
        f" {need}."
        + (f" Try again in {duration_text(round(seconds))}." if fits else " It never fits: ask for a shorter answer."),
        retry_after_seconds=min(seconds, RETRY_SECONDS_MAX) if fits else None,
    )
    unit = concern.unit.encode()
    error.headers = (
        (b"x-ratelimit-limit-" + unit, b"%d" % concern.limit),
        (b"x-ratelimit-remaining-" + unit, b"%d" % max(0, answer.available)),
        (b"x-ratelimit-reset-" + unit, reset_text(seconds).encode()),
    )
    return error


def _named(concern: Concern) -> str:
    return repr(concern.budget) + (f" of {concern.owner}" if concern.owner else "")


def _where(concern: Concern) -> str:
    return "that the run is started with" if brought_by_run(concern) else "in the tier map"


def _left(answer: NoBudget) -> str:
    return amount_text(max(0, answer.available), answer.hold.concern.unit)
