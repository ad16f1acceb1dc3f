"""The dashboard of money: what is spent, by whom it is bounded, and what of the bill served somebody."""

from typing import Final

from deploy.watching.dashboard import Dashboard, Row
from deploy.watching.panel import Panel, Query
from deploy.watching.recordings import burn

_HOUR: Final = 3600


def money_dashboard() -> Dashboard:
    """Costs, budgets and the bill."""
    return Dashboard(
        name="money",
        title="money",
        about="What is spent, which budgets bound it, and what of Runpod's bill served somebody.",
        rows=[
            Row(title="Costs", panels=_costs()),
            Row(title="Budgets", panels=_budgets()),
            Row(title="Runpod's bill, last seven days", panels=_bill()),
        ],
    )


def _costs() -> list[Panel]:
    return [
        Panel(
            title="Cost per hour",
            queries=[
                Query(expr=f"sum by (tier) (rate(tiergate_cost_usd_total[5m])) * {_HOUR}", legend="{{tier}}"),
            ],
            about="Of requests, by the tier that caused it",
            unit="currencyUSD",
            stacked=True,
        ),
        Panel(
            title="Busy GPUs",
            queries=[
                Query(expr="sum by (tier, endpoint) (rate(tiergate_gpu_seconds_total[5m]))", legend="{{endpoint}}"),
            ],
            about="GPU seconds per second that requests are charged for: 1 is one busy worker",
            stacked=True,
        ),
    ]


def _budgets() -> list[Panel]:
    return [
        Panel(
            title="Spent by the fullest owner",
            queries=[Query(expr="tiergate:budget_settled:ratio", legend="{{budget}}")],
            about="The largest part of its limit that one owner has settled in the current window",
            unit="percentunit",
            red=0.9,
        ),
        Panel(
            title="Burn rate",
            queries=[Query(expr=burn("1h"), legend="{{budget}}")],
            about="Over the last hour: 1 spends a budget in exactly its window, 2 in half of it",
            red=2,
        ),
        Panel(
            title="Settled and held",
            queries=[
                Query(expr="max by (budget, unit) (tiergate_budget_settled)", legend="{{budget}} settled, {{unit}}"),
                Query(expr="max by (budget, unit) (tiergate_budget_held)", legend="{{budget}} held, {{unit}}"),
                Query(expr="max by (budget, unit) (tiergate_budget_limit)", legend="{{budget}} limit, {{unit}}"),
            ],
            about="Over all owners; the limit is each owner's",
        ),
        Panel(
            title="Bounded",
            queries=[
                Query(
                    expr="sum by (limit, kind) (rate(tiergate_limit_refusals_total[5m]))", legend="{{limit}} {{kind}}"
                )
            ],
            about="Requests that a budget or limit refused, sent to a cheaper tier or would have refused",
            unit="reqps",
        ),
    ]


def _bill() -> list[Panel]:
    overhead = "max by (tier, state) (tiergate_bill_overhead_seconds)"
    return [
        Panel(
            title="Billed",
            queries=[Query(expr="max by (tier) (tiergate_bill_billed_usd)", legend="{{tier}}")],
            about="What Runpod billed for GPUs and CPUs",
            unit="currencyUSD",
        ),
        Panel(
            title="Worker seconds",
            queries=[
                Query(expr="max by (tier) (tiergate_bill_attributed_seconds)", legend="{{tier}} attributed"),
                Query(expr=overhead, legend="{{tier}} {{state}}"),
                Query(expr="max by (tier) (tiergate_bill_billed_seconds)", legend="{{tier}} billed"),
            ],
            about="Attributed to requests, starting and idle; beside them what was billed",
            unit="s",
        ),
        Panel(
            title="Drift",
            queries=[Query(expr="abs(max by (tier) (tiergate_bill_drift_ratio))", legend="{{tier}}")],
            about="The part of the bill that was not seen",
            unit="percentunit",
            red=0.01,
        ),
        Panel(
            title="Usage counted by the gateway",
            queries=[
                Query(
                    expr="sum by (tier, endpoint) (rate(tiergate_usage_counted_locally_total[5m]))",
                    legend="{{endpoint}}",
                )
            ],
            about="Good requests whose endpoint reported no usage: their tokens are estimates",
            unit="reqps",
        ),
    ]
