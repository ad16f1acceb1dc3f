"""Which budgets concern a request, and how much of each its worst case holds."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from tiers.holds import Concern
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


def amount(unit: str, usage: Usage, microdollars: int) -> int:
    """What a request with this usage and cost takes from a budget in ``USD``, ``tokens`` or ``requests``."""
    if unit == "USD":
        return microdollars
    return usage.input + usage.output if unit == "tokens" else 1
