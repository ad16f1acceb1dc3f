"""What is told of budgets and the bill, as Prometheus works it out."""

from pathlib import Path

from deploy.watching.money_alerts import money_alerts
from tests.deploy.watching.promtool import Case, check, covered, needs_promtool

BUDGET = {"budget": "daily", "unit": "USD"}
SETTLED = 'tiergate_budget_settled_ratio{budget="daily", unit="USD", instance="g"}'
OTHER_GATEWAY = SETTLED.replace('"g"', '"h"')
WINDOW = 'tiergate_budget_window_seconds{budget="daily", instance="g"}'
DAY = {WINDOW: "86400+0x900"}
FAILED = 'tiergate_budget_alerts_total{budget="daily", result="failed"}'
DRIFT, BILLED = 'tiergate_bill_drift_ratio{tier="t"}', 'tiergate_bill_billed_usd{tier="t"}'

CASES = [
    Case(
        promise="a third of a day's budget in an hour: gone in another",
        alert="TiergateBudgetBurnsFast",
        series={SETTLED: "0+0.005x200", OTHER_GATEWAY: "0+0.005x200", **DAY},
        after="110m",
        fires=BUDGET,
    ),
    Case(
        promise="twice as fast as the window allows, but for many hours still",
        alert="TiergateBudgetBurnsFast",
        series={SETTLED: "0+0.0016x400", **DAY},
        after="110m",
        fires=None,
    ),
    Case(
        promise="it burnt an hour ago and does not any more",
        alert="TiergateBudgetBurnsFast",
        series={SETTLED: "0+0.01x50 0.5+0x100", **DAY},
        after="70m",
        fires=None,
    ),
    Case(
        promise="a new window has begun",
        alert="TiergateBudgetBurnsFast",
        series={SETTLED: "0.3+0.005x100 0+0x100", **DAY},
        after="110m",
        fires=None,
    ),
    Case(
        promise="twice as fast as the window allows, for six hours",
        alert="TiergateBudgetBurnsSlowly",
        series={SETTLED: "0.1+0.0014x600", **DAY},
        after="420m",
        fires=BUDGET,
    ),
    Case(
        promise="just as fast as the window allows",
        alert="TiergateBudgetBurnsSlowly",
        series={SETTLED: "0.2+0.0007x600", **DAY},
        after="480m",
        fires=None,
    ),
    Case(
        promise="an owner has spent nine tenths",
        alert="TiergateBudgetNearlySpent",
        series={SETTLED: "0.5 0.91+0x9"},
        after="5m",
        fires=BUDGET,
    ),
    Case(
        promise="an owner has spent half",
        alert="TiergateBudgetNearlySpent",
        series={SETTLED: "0.5+0x9"},
        after="5m",
        fires=None,
    ),
    Case(
        promise="a webhook refuses again and again",
        alert="TiergateBudgetAlertsFail",
        series={FAILED: "_ 1 2 3 3 4+0x30"},
        after="15m",
        fires={"budget": "daily"},
    ),
    Case(
        promise="it refused once, long ago",
        alert="TiergateBudgetAlertsFail",
        series={FAILED: "1+0x60"},
        after="50m",
        fires=None,
    ),
    Case(
        promise="more was seen than billed, for hours",
        alert="TiergateBillDrift",
        series={DRIFT: "-0.05+0x20", BILLED: "100+0x20"},
        after="8h",
        fires={"tier": "t"},
        every="1h",
    ),
    Case(
        promise="half a per cent",
        alert="TiergateBillDrift",
        series={DRIFT: "0.005+0x20", BILLED: "100+0x20"},
        after="8h",
        fires=None,
        every="1h",
    ),
    Case(
        promise="a bill of some cents",
        alert="TiergateBillDrift",
        series={DRIFT: "0.5+0x20", BILLED: "0.1+0x20"},
        after="8h",
        fires=None,
        every="1h",
    ),
]


@needs_promtool
def test_each_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_each_is_shown_firing_and_silent() -> None:
    assert covered(CASES) == {alert.name: {True, False} for alert in money_alerts()}
