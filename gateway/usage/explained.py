"""One budget, explained: what is left of it to whom, what holds it and until when, and whom it refused."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from gateway.budget.ledger import Balance, Holding
from gateway.usage.tally import exact
from tiers.tiermap import Budget
from tiers.windows import bounds

REFUSALS_SHOWN_MAX: Final = 20
_MILLIONTHS: Final = frozenset({"USD", "GPU seconds"})


class Refusal(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is told of a request that a budget refused, or sent to a cheaper tier."""

    request_id: str
    received_unix: float
    key: str
    agent: str
    run: str
    tier: str
    outcome: str
    refused_by: str = ""


def explained(
    budget: Budget, balances: Sequence[Balance], holdings: Sequence[Holding], *, owner: str | None, now_unix: float
) -> dict[str, Any]:
    """A budget in its current window. Amounts are integers of the unit, of ``USD`` and ``GPU seconds`` millionths,
    which ``…_exact`` repeats as decimal numbers.
    """
    shown = [balance for balance in balances if owner is None or balance.owner == owner]
    return {
        "budget": budget.name,
        "unit": budget.unit,
        **_amount("limit", budget.limit, budget.unit),
        "spent_policy": budget.spent,
        "window": _window(budget, now_unix),
        "owners": [
            {
                "owner": balance.owner,
                **_amount("limit", balance.limit, budget.unit),
                **_amount("settled", balance.settled, budget.unit),
                **_amount("held", balance.held, budget.unit),
                **_amount("available", balance.available, budget.unit),
                "window_ends_in_seconds": balance.window_ends_in_seconds,
            }
            for balance in shown
        ],
        "holdings": [
            {
                "claim": holding.claim_id,
                "owner": holding.owner,
                **_amount("amount", holding.amount, budget.unit),
                "until_unix": holding.until_unix,
            }
            for holding in holdings
            if owner is None or holding.owner == owner
        ],
    }


def _window(budget: Budget, now_unix: float) -> dict[str, Any]:
    window = budget.window
    if window.kind == "rolling":
        begins: float = now_unix - window.seconds
        ends = None
    else:
        begins, ends = bounds(window, now_unix)
    return {
        "kind": window.kind,
        "seconds": window.seconds,
        "zone": window.zone,
        "begins_unix": begins,
        "ends_unix": ends,
        "begins": datetime.fromtimestamp(begins, UTC).isoformat(timespec="seconds"),
        "ends": None if ends is None else datetime.fromtimestamp(ends, UTC).isoformat(timespec="seconds"),
    }


def _amount(name: str, amount: int, unit: str) -> dict[str, Any]:
    return {name: amount, f"{name}_exact": exact(amount) if unit in _MILLIONTHS else str(amount)}
