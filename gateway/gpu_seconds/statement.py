"""The books beside the bill, line by line, and how they are printed."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

from tiers.bill import Books, Line, billed_milliseconds, reconcile
from tiers.price import GpuPrice
from tiers.runpod_urls import health_base
from tiers.tiermap import TierMap

Form = Literal["table", "csv", "jsonl"]
NO_TIER: Final = "(none)"
"""What stands for the tier of an endpoint that no tier calls."""
COLUMNS: Final = (
    "day", "tier", "endpoint", "attributed_seconds", "starting_seconds", "idle_seconds", "billed_seconds",
    "unexplained_seconds", "billed_usd", "unexplained_usd", "drift_percent",
)  # fmt: skip


def statement(
    tier_map: TierMap, books: Mapping[tuple[str, str], Books], bill: Mapping[tuple[str, str], int]
) -> list[Line]:
    """A line for each day, endpoint and tier of which anything is known, in that order.

    ``books`` are by day and URL, ``bill`` is in microdollars by day and Runpod's id. An endpoint's seconds follow from
    the price of the first of its tiers that is paid by GPU seconds; where there is none, only the money is shown.
    """
    tiers, prices = _tiers_of(tier_map)
    seen = {(day, base.rsplit("/", 1)[-1]): one for (day, base), one in books.items()}
    return [
        line
        for day, name in sorted({*seen, *bill})
        for line in reconcile(
            day=day,
            endpoint=name,
            tiers=tiers.get(name, ()) or ([] if (day, name) in seen and seen[day, name].attributed else [NO_TIER]),
            books=seen.get((day, name), Books()),
            billed=billed_milliseconds(bill.get((day, name), 0), prices.get(name, 0)),
            billed_microdollars=bill.get((day, name), 0),
        )
    ]


def shown(lines: Sequence[Line]) -> list[dict[str, str | float]]:
    """The lines as JSON shows them."""
    return [dict(zip(COLUMNS, _row(line), strict=True)) for line in lines]


def printed(lines: Sequence[Line], form: Form) -> str:
    """The lines as text, with a line of names before them unless they are JSON; ends with a line break."""
    if form == "jsonl":
        return "".join(json.dumps(line) + "\n" for line in shown(lines))
    rows = [_row(line) for line in lines]
    if form == "csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([COLUMNS, *rows])
        return text.getvalue()
    return "".join(_aligned([list(COLUMNS), *([str(value) for value in row] for row in rows)]))


def _tiers_of(tier_map: TierMap) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Runpod's id → the tiers that call the endpoint, and microdollars per second of its workers."""
    tiers: dict[str, list[str]] = {}
    prices: dict[str, int] = {}
    for tier in tier_map.tiers.values():
        for endpoint in tier.endpoints:
            base = health_base(endpoint.url)
            if base is None:
                continue
            name = base.rsplit("/", 1)[-1]
            tiers.setdefault(name, []).append(tier.name)
            if isinstance(tier.price, GpuPrice):
                prices.setdefault(name, tier.price.microdollars_per_second)
    return tiers, prices


def _row(line: Line) -> tuple[str | float, ...]:
    seconds = (line.attributed, line.starting, line.idle, line.billed, line.unexplained)
    dollars = (line.billed_microdollars, line.unexplained_microdollars)
    return (
        line.day,
        line.tier,
        line.endpoint,
        *(milliseconds / 1000 for milliseconds in seconds),
        *(microdollars / 1_000_000 for microdollars in dollars),
        round(line.drift * 100, 3),
    )


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n"
