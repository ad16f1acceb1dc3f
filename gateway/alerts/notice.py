"""What a webhook is told."""

from datetime import UTC, datetime
from typing import Final

import msgspec

from gateway.budget.ledger import Balance
from tiers.quantities import MICROSECONDS_PER_SECOND
from tiers.tiermap import Budget

_MILLIONTHS: Final = frozenset(["USD", "GPU seconds"])
"""Units that are counted in millionths of what people say."""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """The body of an alert. Amounts are in the budget's unit: ``USD`` in microdollars, ``GPU seconds`` in microseconds.

    Attributes:
        id: The same however often it is posted.
        text: The whole in words, as chat programs show it.
        percent: The part that was reached.
        settled, held: As they were then.
        window_ends: In UTC, as RFC 3339 has it; ``None`` where the window rolls.
        noticed: When it was seen, in the same form.
    """

    event: str = "budget.alert"
    id: str
    text: str
    budget: str
    owner_kind: str
    owner: str
    unit: str
    percent: int
    limit: int
    settled: int
    held: int
    window_ends: str | None
    noticed: str


def notice(budget: Budget, balance: Balance, percent: int, *, id: str, now_unix: float) -> Notice:  # noqa: A002 - its name
    """That the owner of ``balance`` has spent ``percent`` of ``budget``."""
    whose = "" if budget.owner.kind == "all" else f" of {budget.owner.kind} {balance.owner}"
    ends = None if budget.window.kind == "rolling" else _shown(now_unix + balance.window_ends_in_seconds)
    return Notice(
        id=id,
        text=(
            f"Budget {budget.name}{whose}: {percent} % spent, {_amount(balance.settled, budget.unit)} of"
            f" {_amount(balance.limit, budget.unit)}."
        ),
        budget=budget.name,
        owner_kind=budget.owner.kind,
        owner=balance.owner,
        unit=budget.unit,
        percent=percent,
        limit=balance.limit,
        settled=balance.settled,
        held=balance.held,
        window_ends=ends,
        noticed=_shown(now_unix),
    )


def _amount(number: int, unit: str) -> str:
    if unit in _MILLIONTHS:
        return f"{number / MICROSECONDS_PER_SECOND:,.2f} {unit}"
    return f"{number:,} {unit}"


def _shown(unix: float) -> str:
    return datetime.fromtimestamp(round(unix), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
