"""A budget's explanation as text for a terminal: a paragraph, and a table each of owners, holdings and refusals."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from gateway.usage.printed import aligned, cell

_OWNERS: Final = ("owner", "limit", "settled", "held", "available", "window ends in")
_HOLDINGS: Final = ("held by", "owner", "until", "amount")
_REFUSALS: Final = ("refused", "at", "key", "agent", "run", "tier", "outcome")


def told(answer: dict[str, Any]) -> str:
    """The answer of ``GET /tiergate/v1/budgets/{name}`` as text that ends with a line break."""
    parts = [_budget(one) for one in answer["data"]]
    refusals = [
        (
            one["request_id"],
            _moment(one["received_unix"]),
            one["key"],
            one["agent"],
            one["run"],
            one["tier"],
            one["outcome"],
        )
        for one in answer["refusals"]
    ]
    if refusals:
        parts.append(_table(_REFUSALS, refusals, left=len(_REFUSALS)))
    else:
        parts.append("It refused nobody among the latest records.\n")
    return "\n".join(parts)


def _budget(one: dict[str, Any]) -> str:
    unit, window = one["unit"], one["window"]
    ends = "never: what was spent leaves it as time goes by" if window["ends"] is None else window["ends"]
    head = f"{one['budget']}: {one['limit_exact']} {unit}, when spent: {one['spent_policy']}\n"
    parts = [f"{head}window: {window['kind']}, from {window['begins']}, ends {ends}\n"]
    owners = [
        (
            owner["owner"], owner["limit_exact"], owner["settled_exact"], owner["held_exact"],
            owner["available_exact"], f"{owner['window_ends_in_seconds']:.0f} s",
        )
        for owner in one["owners"]
    ]  # fmt: skip
    parts.append(_table(_OWNERS, owners, left=1) if owners else "Nobody has spent or held anything of it.\n")
    holdings = [
        (held["claim"], held["owner"], _moment(held["until_unix"]), held["amount_exact"]) for held in one["holdings"]
    ]
    parts.append(_table(_HOLDINGS, holdings, left=3) if holdings else "No request holds any of it.\n")
    return "\n".join(parts)


def _table(names: Sequence[str], rows: Sequence[Sequence[object]], *, left: int) -> str:
    lines = [list(names), *([cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join(f"{aligned(each, widths, left=left)}\n" for each in lines)


def _moment(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).isoformat(timespec="seconds")
