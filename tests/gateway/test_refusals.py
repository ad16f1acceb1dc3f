"""What a request is told for which not enough is left."""

from gateway.budget.ledger import NoBudget
from gateway.errors import BudgetTooSmall
from gateway.refusals import exhausted, rate_limited
from tiers.budgets import run_concerns
from tiers.holds import Concern, Hold
from tiers.windows import Window


def refused(amount: int, *, limit: int = 2_000_000, kind: str = "aligned", unit: str = "USD") -> NoBudget:
    window = Window(kind="rolling" if kind == "rolling" else "aligned", seconds=86_400)
    concern = Concern("daily", "writer", unit, limit, window)
    return NoBudget(hold=Hold(concern, amount), available=500_000, window_ends_in_seconds=3_660.0)


def test_a_spent_budget_says_whose_it_is_what_is_left_and_when_it_begins_anew() -> None:
    error = exhausted(refused(1_500_000))
    assert error.message == (
        "The budget 'daily' of writer has 0.5 USD left of 2 USD per 1 d; this request may cost up to 1.5 USD."
        " The window ends in 1 h 1 min."
    )
    assert (error.status, error.retry, error.retry_after_seconds) == (402, False, 3_660.0)


def test_a_rolling_window_has_no_end_but_a_moment_at_which_more_is_left() -> None:
    assert exhausted(refused(1_500_000, kind="rolling")).message.endswith("More is left in 1 h 1 min.")


def test_a_request_that_no_window_can_hold_is_told_so() -> None:
    error = exhausted(refused(3_000_000))
    assert isinstance(error, BudgetTooSmall)
    assert error.retry_after_seconds is None


def test_a_rate_says_how_much_it_allows_and_does_not_let_the_sdk_wait_for_ever() -> None:
    error = rate_limited(refused(3, limit=5, unit="requests"))
    assert error.retry_after_seconds == 120.0
    assert dict(error.headers)[b"x-ratelimit-reset-requests"] == b"1h1m0s"


def of_run(amount: int, *, available: int = 0) -> NoBudget:
    [concern] = run_concerns("ticket-7", microdollars=2_000_000, calls=None)
    return NoBudget(hold=Hold(concern, amount), available=available, window_ends_in_seconds=3_660.0)


def test_a_runs_own_budget_does_not_come_back() -> None:
    """So nobody is told to wait for it, and no cheaper tier is a way around it."""
    error = exhausted(of_run(1_500_000, available=500_000))
    assert error.message == (
        "The budget 'x-tiergate-run-max-usd' of ticket-7 has 0.5 USD left of 2 USD for the whole run; this request may"
        " cost up to 1.5 USD. Nothing comes back to it but what is held now."
    )
    assert (error.code, error.param) == ("budget_exhausted", "x-tiergate-run-max-usd")
    assert (error.retry, error.retry_after_seconds, error.cheaper) == (False, None, False)


def test_a_request_dearer_than_the_runs_whole_budget_says_where_that_comes_from() -> None:
    error = exhausted(of_run(2_000_001))
    assert isinstance(error, BudgetTooSmall)
    assert error.message.endswith("or raise the budget that the run is started with.")
    assert error.param == "x-tiergate-run-max-usd"
