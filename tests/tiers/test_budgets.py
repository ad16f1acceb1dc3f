import pytest

from tiers.budgets import (
    RUN_CALLS,
    RUN_USD,
    RUN_WINDOW,
    amount,
    brought_by_run,
    concerns,
    limit_text,
    limits,
    run_concerns,
)
from tiers.holds import Concern
from tiers.tiermap import Budget, Concurrency, Owner
from tiers.usage import Usage
from tiers.windows import Window

USAGE = Usage(input=30, output=12)


def budget(kind: str, pattern: str, unit: str = "USD") -> Budget:
    return Budget(
        name=f"{kind}-{unit}", owner=Owner(kind=kind, pattern=pattern), unit=unit, limit=100, window=Window(seconds=60)
    )


def held(*budgets: Budget, agent: str = "", key: str = "demo", flow: str = "", run: str = "") -> list[tuple[str, str]]:
    found = concerns(budgets, tier="routing", agent=agent, key=key, flow=flow, run=run)
    return [(one.budget, one.owner) for one in found]


def test_each_kind_of_owner_is_asked_by_its_own_name() -> None:
    every = [budget(kind, "*") for kind in ("tier", "agent", "key", "flow", "run", "all")]
    assert held(*every, agent="a", key="k", flow="f", run="r") == [
        ("tier-USD", "routing"),
        ("agent-USD", "a"),
        ("key-USD", "k"),
        ("flow-USD", "f"),
        ("run-USD", "r"),
        ("all-USD", "*"),
    ]


@pytest.mark.parametrize("kind", ["agent", "flow", "run"])
def test_who_is_not_named_has_no_budget_of_that_kind(kind: str) -> None:
    assert held(budget(kind, "*")) == []


def test_patterns_are_globs_in_which_case_counts() -> None:
    assert held(budget("agent", "writer-*"), agent="writer-1") == [("agent-USD", "writer-1")]
    assert held(budget("agent", "writer-*"), agent="Writer-1") == []


def test_a_concern_carries_what_the_ledger_needs() -> None:
    concerned = concerns([budget("tier", "routing", "tokens")], tier="routing", agent="", key="demo", flow="", run="")
    assert concerned == (
        Concern(budget="tier-tokens", owner="routing", unit="tokens", limit=100, window=Window(seconds=60)),
    )


@pytest.mark.parametrize(
    ("unit", "expected"), [("USD", 7), ("tokens", 42), ("requests", 1), ("GPU seconds", 1_500_001)]
)
def test_amounts_follow_the_unit(unit: str, expected: int) -> None:
    """Money in microdollars, tokens in and out together, one request, microseconds of GPU time rounded up."""
    assert amount(unit, USAGE, 7, 1.5000001) == expected


def test_concurrency_limits_belong_to_owners_as_budgets_do() -> None:
    """Each with the name that it is kept under."""
    several = [
        Concurrency(name=kind, owner=Owner(kind=kind, pattern=pattern), slots=2)
        for kind, pattern in [("agent", "*"), ("key", "demo"), ("team", "a*"), ("all", "*"), ("run", "*")]
    ]
    found = limits(several, tier="routing", agent="writer", key="other", flow="", run="", team="alpha")
    assert [(one.name, owner) for one, owner in found] == [("agent", "writer"), ("team", "alpha"), ("all", "*")]


def test_a_run_brings_budgets_of_its_own() -> None:
    """They are refused for good where they are spent, and remembered for longer than a run takes."""
    calls = Concern(RUN_CALLS, "r1", "requests", 7, RUN_WINDOW, "reject")
    money = Concern(RUN_USD, "r1", "USD", 250_000, RUN_WINDOW, "reject")
    assert run_concerns("r1", microdollars=250_000, calls=7) == (calls, money)
    assert run_concerns("r1", microdollars=0, calls=None) == (Concern(RUN_USD, "r1", "USD", 0, RUN_WINDOW, "reject"),)
    assert run_concerns("r1", microdollars=None, calls=None) == ()
    assert (RUN_WINDOW.kind, RUN_WINDOW.seconds) == ("rolling", 2_592_000)


def test_how_long_a_budget_lasts_is_told_as_people_think_of_it() -> None:
    """A run's is of the run, whatever window keeps it."""
    [daily] = concerns([budget("tier", "*", "tokens")], tier="routing", agent="", key="demo", flow="", run="")
    [calls] = run_concerns("r1", microdollars=None, calls=7)
    assert (limit_text(daily), brought_by_run(daily)) == ("100 tokens per 1 min", False)
    assert (limit_text(calls), brought_by_run(calls)) == ("7 requests for the whole run", True)
