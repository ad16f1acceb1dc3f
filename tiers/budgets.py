"""Which budgets concern a request, and how much of each its worst case holds."""

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from tiers.holds import Concern
from tiers.tiermap import Budget, Concurrency, Owner
from tiers.usage import Usage
from tiers.windows import Window
from tiers.wording import MICROSECONDS, amount_text, duration_text

RUN_USD: Final = "x-tiergate-run-max-usd"
RUN_CALLS: Final = "x-tiergate-run-max-calls"
"""What the budgets are called that a run brings with it: as the headers that say how large they are."""
RUN_BUDGETS: Final = frozenset({RUN_USD, RUN_CALLS})
RUN_WINDOW: Final = Window(kind="rolling", seconds=30 * 86_400)
"""How long what a run took is remembered. It rolls: a calendar's would begin anew in the middle of a run."""


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


def run_concerns(run: str, *, microdollars: int | None, calls: int | None) -> tuple[Concern, ...]:
    """The budgets that the run of that name brings with it; ``None`` is no bound. A cheaper tier is no way around."""
    bounds = ((RUN_CALLS, "requests", calls), (RUN_USD, "USD", microdollars))
    return tuple(
        [Concern(name, run, unit, limit, RUN_WINDOW, "reject") for name, unit, limit in bounds if limit is not None]
    )


def brought_by_run(concern: Concern) -> bool:
    """Whether it is one of ``run_concerns``, which do not come back."""
    return concern.budget in RUN_BUDGETS


def limit_text(concern: Concern) -> str:
    """How large the budget is, and for how long: ``2 USD per 1 d``."""
    whole = amount_text(concern.limit, concern.unit)
    return (
        f"{whole} for the whole run"
        if brought_by_run(concern)
        else f"{whole} per {duration_text(concern.window.seconds)}"
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
