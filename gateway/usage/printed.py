"""Counts as text: an aligned table, CSV, or JSON Lines."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any, Final, Literal

from gateway.usage.tally import COLUMNS

Form = Literal["table", "csv", "jsonl"]
FORMS: Final = ("table", "csv", "jsonl")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What spreadsheets take for the beginning of a formula; an agent's name comes from whoever calls."""


def printed(by: Sequence[str], rows: Sequence[dict[str, Any]], form: Form) -> str:
    """The rows as text that ends with a line break, or empty where it has no line."""
    match form:
        case "jsonl":
            return "".join(f"{json.dumps(row)}\n" for row in rows)
        case "csv":
            return _csv(by, rows)
        case _:
            return _table(by, rows)


def _csv(by: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*by, *COLUMNS])
    for row in rows:
        writer.writerow([*(_harmless(row[name]) for name in by), *(row[name] for name in COLUMNS)])
    return text.getvalue()


def _table(by: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    shown = [name for name in COLUMNS if name != "cost_microdollars"]
    lines = [[*by, *shown], *([cell(row[name]) for name in (*by, *shown)] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join(f"{aligned(line, widths, left=len(by))}\n" for line in lines)


def aligned(cells: Sequence[str], widths: Sequence[int], *, left: int) -> str:
    """One line of a table: the first ``left`` cells at the left of their columns, the others at the right."""
    padded = [
        cell.ljust(width) if index < left else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()


def cell(value: object) -> str:
    """Nothing is a dash; what a terminal would obey is escaped."""
    if value is None or value == "":
        return "-"
    text = str(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _harmless(name: str) -> str:
    return f"'{name}" if name.startswith(_FORMULA) else name
