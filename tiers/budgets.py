"""Which budgets concern a request, and how much of each its worst case holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tiers.tiermap import Budget
from tiers.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """An amount to hold on one owner's budget; ``limit`` and ``amount`` in ``unit`` (``USD`` is
    microdollars).

    ``owner`` is the name that the budget's pattern matched (a tier's, an agent's, …), ``*`` for the kind
    ``all``.
    """

    budget: str
    owner: str
    unit: str
    limit: int
    window_seconds: int
    amount: int


def holds(
    budgets: Sequence[Budget],
    *,
    tier: str,
    agent: str,
    key: str,
    flow: str,
    run: str,
    usage: Usage,
    microdollars: int,
) -> tuple[Hold, ...]:
    """What a request holds on each budget that concerns it, in the order of ``budgets``.

    An empty name (the caller named no agent, say) belongs to no budget of that kind.

    Args:
        budgets: All budgets of the tier map.
        tier: Where the attempt would run; ``agent``, ``key``, ``flow`` and ``run`` say for whom.
        agent: See ``tier``.
        key: See ``tier``.
        flow: See ``tier``.
        run: See ``tier``.
        usage: The tokens to hold, from ``tiers.estimate.worst_case``.
        microdollars: The money to hold, from ``tiers.estimate.worst_cost``.
    """
    names = {"tier": tier, "agent": agent, "key": key, "flow": flow, "run": run, "all": "*"}
    return tuple(
        Hold(
            budget=budget.name,
            owner=name,
            unit=budget.unit,
            limit=budget.limit,
            window_seconds=budget.window_seconds,
            amount=amount(budget.unit, usage, microdollars),
        )
        for budget in budgets
        if (name := names[budget.owner.kind]) and fnmatchcase(name, budget.owner.pattern)
    )


def amount(unit: str, usage: Usage, microdollars: int) -> int:
    """What a request with this usage and cost takes from a budget in ``USD``, ``tokens`` or ``requests``."""
    if unit == "USD":
        return microdollars
    return usage.total if unit == "tokens" else 1
