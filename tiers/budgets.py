"""Which budgets concern a request, and how much of each its worst case holds."""

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from tiers.holds import Concern
from tiers.tiermap import Budget, Concurrency, Owner
from tiers.usage import Usage
from tiers.wording import MICROSECONDS


def concerns(
    budgets: Sequence[Budget], *, tier: str, agent: str, key: str, flow: str, run: str, team: str = ""
) -> tuple[Concern, ...]:
    """The budgets that concern a request on ``tier`` for the other names, in the order of ``budgets``.

    An empty name (the caller named no agent, say) belongs to no budget of that kind.
    """
    names = _names(tier=tier, agent=agent, key=key, team=team, flow=flow, run=run)
    return tuple(
        Concern(budget.name, name, budget.unit, budget.limit, budget.window, budget.spent, budget.rate)
        for budget in budgets
        if (name := _owner(budget.owner, names))
    )


def amount(unit: str, usage: Usage, microdollars: int, gpu_seconds: float) -> int:
    """What a request takes from a budget: microdollars of ``USD``, microseconds of ``GPU seconds``, ``tokens`` or
    ``requests``; rounded up.
    """
    if unit == "USD":
        return microdollars
    if unit == "GPU seconds":
        return math.ceil(gpu_seconds * MICROSECONDS)
    return usage.input + usage.output if unit == "tokens" else 1


def limits(
    concurrency: Sequence[Concurrency], *, tier: str, agent: str, key: str, flow: str, run: str, team: str = ""
) -> list[tuple[Concurrency, str]]:
    """The concurrency limits that concern such a request, each with its owner's name."""
    names = _names(tier=tier, agent=agent, key=key, team=team, flow=flow, run=run)
    return [(one, name) for one in concurrency if (name := _owner(one.owner, names))]


def _names(**names: str) -> dict[str, str]:
    return names | {"all": "*"}


def _owner(owner: Owner, names: Mapping[str, str]) -> str:
    """Which of ``names`` the owner is; empty for none."""
    name = names[owner.kind]
    return name if name and fnmatchcase(name, owner.pattern) else ""
