"""Alerts on budgets and on the bill."""

from typing import Final

from deploy.watching.alert import Alert
from deploy.watching.recordings import burn

FAST: Final = 2
"""Burn rate: spent in half of its window."""
FAST_HOURS: Final = 2
"""A budget that lasts longer than that at the present rate can wait for the slow alert."""
SLOW: Final = 1.5
SLOW_SETTLED_MIN: Final = 0.5
"""A budget of which less is spent may still come out even."""
NEARLY: Final = 0.9
DRIFT_MAX: Final = 0.01
BILL_USD_MIN: Final = 1
"""A smaller bill consists of rounding."""
_BUDGET: Final = "Budget {{ $labels.budget }}"


def money_alerts() -> tuple[Alert, ...]:
    """All of them."""
    return (*_burning(), *_spent(), _drift())


def _burning() -> tuple[Alert, ...]:
    settled = "tiergate:budget_settled:ratio"
    window = "max by (budget) (tiergate_budget_window_seconds)"
    left = f"(1 - {settled}) * on (budget) group_left () {window} / on (budget, unit) ({burn('1h')} > {FAST})"
    return (
        Alert(
            name="TiergateBudgetBurnsFast",
            expr=f"{left} < {FAST_HOURS * 3600} and on (budget, unit) {burn('5m')} > {FAST}",
            lasts="2m",
            severity="page",
            layer="money",
            summary=f"{_BUDGET} is spent in {{{{ $value | humanizeDuration }}}} if its fullest owner goes on like this",
            advice="See who spends (tiergate-gateway usage, by agent, key and run); stop a run that loops, or raise "
            "the limit.",
        ),
        Alert(
            name="TiergateBudgetBurnsSlowly",
            expr=f"{burn('6h')} > {SLOW} and {burn('30m')} > {SLOW} and {settled} > {SLOW_SETTLED_MIN}",
            lasts="15m",
            severity="ticket",
            layer="money",
            summary=f"{_BUDGET} is being spent {{{{ $value | humanize }}}} times as fast as its window allows",
            advice="Decide before it is spent: a higher limit, or a cheaper tier for whoever spends most.",
        ),
    )


def _spent() -> tuple[Alert, ...]:
    return (
        Alert(
            name="TiergateBudgetNearlySpent",
            expr=f"tiergate:budget_settled:ratio >= {NEARLY}",
            lasts="1m",
            severity="ticket",
            layer="money",
            summary="An owner has spent {{ $value | humanizePercentage }} of budget {{ $labels.budget }}",
            advice="Who it is: GET /tiergate/v1/budgets, or tiergate-gateway budget explain.",
        ),
        Alert(
            name="TiergateBudgetAlertsFail",
            expr='sum by (budget) (increase(tiergate_budget_alerts_total{result=~"failed|given_up"}[30m])) > 0',
            lasts="5m",
            severity="ticket",
            layer="money",
            summary="The webhook of budget {{ $labels.budget }} does not take its alerts",
            advice="See what it answers (the gateway's log has it); what is due is tried again for 45 minutes.",
        ),
    )


def _drift() -> Alert:
    billed = f"max by (tier) (tiergate_bill_billed_usd) > {BILL_USD_MIN}"
    return Alert(
        name="TiergateBillDrift",
        expr=f"abs(max by (tier) (tiergate_bill_drift_ratio)) > {DRIFT_MAX} and {billed}",
        lasts="6h",
        severity="ticket",
        layer="money",
        summary="{{ $value | humanizePercentage }} of Runpod's bill for tier {{ $labels.tier }} was not seen",
        advice="The tier's price or workers.idle_timeout may not be the endpoint's, or somebody else calls it.",
    )
