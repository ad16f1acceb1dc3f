"""What a request is told for which a budget or a rate has not enough left."""

from gateway.budget.ledger import NoBudget
from gateway.errors import BudgetExhausted, BudgetTooSmall, RateLimited
from tiers.holds import Concern
from tiers.wording import amount_text, duration_text, reset_text

RETRY_SECONDS_MAX = 120.0
"""The OpenAI SDK does not wait longer than that."""


def exhausted(answer: NoBudget) -> BudgetExhausted:
    """A budget's refusal: how much is left of how much, and when it begins anew."""
    concern, need = answer.hold.concern, amount_text(answer.hold.amount, answer.hold.concern.unit)
    if answer.hold.amount > concern.limit:
        error: BudgetExhausted = BudgetTooSmall(
            f"This request may cost up to {need}, more than the whole budget {_named(concern)} ({_limit(concern)})."
            " Ask for a shorter answer (max_tokens) or raise the budget in the tier map.",
        )
    else:
        more = "More is left in" if concern.window.kind == "rolling" else "The window ends in"
        error = BudgetExhausted(
            f"The budget {_named(concern)} has {_left(answer)} left of {_limit(concern)}; this request may cost up to"
            f" {need}. {more} {duration_text(round(answer.window_ends_in_seconds))}.",
            retry_after_seconds=answer.window_ends_in_seconds,
        )
    error.cheaper = concern.spent != "reject"
    return error


def rate_limited(answer: NoBudget) -> RateLimited:
    """A rate's refusal, with OpenAI's headers: what a minute allows, what is left of it, and when more is."""
    concern, need = answer.hold.concern, amount_text(answer.hold.amount, answer.hold.concern.unit)
    seconds = answer.window_ends_in_seconds
    fits = answer.hold.amount <= concern.limit
    error = RateLimited(
        f"The limit {_named(concern)} allows {_limit(concern)} and has {_left(answer)} left; this request may take"
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


def _limit(concern: Concern) -> str:
    return f"{amount_text(concern.limit, concern.unit)} per {duration_text(concern.window.seconds)}"


def _left(answer: NoBudget) -> str:
    return amount_text(max(0, answer.available), answer.hold.concern.unit)
