"""Which budgets concern a request, and how much of each its worst case holds."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from tiers.holds import Concern, Hold
from tiers.tiermap import Budget
from tiers.usage import Usage


def concerns(budgets: Sequence[Budget], *, tier: str, agent: str, key: str, flow: str, run: str) -> tuple[Concern, ...]:
    """The budgets that concern a request on ``tier`` for the other names, in the order of ``budgets``.

    An empty name (the caller named no agent, say) belongs to no budget of that kind.
    """
    names = {"tier": tier, "agent": agent, "key": key, "flow": flow, "run": run, "all": "*"}
    return tuple(
        Concern(budget.name, name, budget.unit, budget.limit, budget.window_seconds)
        for budget in budgets
        if (name := names[budget.owner.kind]) and fnmatchcase(name, budget.owner.pattern)
    )


def holds(concerned: Sequence[Concern], *, usage: Usage, microdollars: int) -> tuple[Hold, ...]:
    """What a request holds on each budget that concerns it: ``usage`` and ``microdollars`` are its worst case."""
    return tuple([Hold(concern, amount(concern.unit, usage, microdollars)) for concern in concerned])


def amount(unit: str, usage: Usage, microdollars: int) -> int:
    """What a request with this usage and cost takes from a budget in ``USD``, ``tokens`` or ``requests``."""
    if unit == "USD":
        return microdollars
    return usage.total if unit == "tokens" else 1
