"""What a run looks like on a terminal or in a pipe: its LLM calls, and what is left of each budget.

Values in, rich renderables out. Cells fold onto a second line where a terminal is narrow; nothing is cut off.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from json import dumps
from typing import TextIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from deploy.local.answers import Balance, CallRecord, FlowResult
from deploy.local.verdict import OUTCOME_OK
from deploy.verify.finding import Finding
from deploy.verify.shown import in_order, line, summary

MICRODOLLARS_PER_DOLLAR = 1_000_000
PIPED_WIDTH = 120
_NAME_WIDTHS = (40, 24, 20, 17, 14, 12, 10)
"""How wide a name may be before it is broken: the first of these with which the table fits is taken."""
_OWNER_WIDTH = 26
_UNBOUNDED = 1000
_NONE = "-"


def report_console(file: TextIO) -> Console:
    """Where reports are drawn: as wide as the terminal, or as the tables like it where ``file`` is none."""
    return Console(file=file, highlight=False, width=None if file.isatty() else PIPED_WIDTH)


def flow_report(result: FlowResult) -> RenderableType:
    """The Flow's own report, or why there is none, under a line with its name, run and duration."""
    name = f"{result.flow or 'Flow'}, run {result.run or _NONE}"
    title = f"{name}: {result.status or _NONE} in {result.seconds or 0.0:.1f} s"
    found = result.output if result.output is not None else result.reason
    shown = found if isinstance(found, str) else dumps(found, indent=2, ensure_ascii=False)
    return Group(_heading(title), Text(shown.strip()))


def calls_table(calls: Sequence[CallRecord], width: int) -> RenderableType:
    """Every LLM call, one row each, and their totals. Durations in seconds, cost in US dollars.

    Names are broken at their separators as far as ``width`` demands it.
    """
    table = _calls_table(calls, _NAME_WIDTHS[0])
    for name_width in _NAME_WIDTHS[1:]:
        if _natural_width(table) <= width:
            break
        table = _calls_table(calls, name_width)
    return Group(_heading("LLM calls, from the gateway's records"), table)


def _calls_table(calls: Sequence[CallRecord], name_width: int) -> Table:
    table = _table()
    for heading in ("agent", "step", "tier", "endpoint", "reason"):
        table.add_column(heading, overflow="fold")
    for heading in (
        "queue\ndelay",
        "worker\ndelay",
        "cold\nstart",
        "first\ntoken",
        "dura-\ntion",
        "tokens\nin",
        "tokens\nout",
        "cost\nUSD",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("outcome", overflow="fold")
    for call in calls:
        names = (call.agent, call.step, call.tier, call.endpoint, call.reason)
        table.add_row(
            *(Text(broken(name or _NONE, name_width)) for name in names),
            _seconds(call.queue_delay_seconds),
            _seconds(call.worker_delay_seconds),
            _seconds(call.cold_start_seconds),
            _seconds(call.time_to_first_token_seconds),
            _seconds(call.duration_seconds),
            str(call.input_tokens),
            str(call.output_tokens),
            dollars(call.cost_microdollars),
            Text(
                broken(call.outcome, name_width),
                style="green" if call.outcome == OUTCOME_OK else "bold red",
            ),
        )
    table.add_section()
    table.add_row(
        f"{len(calls)} calls",
        *[""] * 8,
        _seconds(sum(call.duration_seconds for call in calls)),
        str(sum(call.input_tokens for call in calls)),
        str(sum(call.output_tokens for call in calls)),
        dollars(sum(call.cost_microdollars for call in calls)),
        f"{sum(call.outcome == OUTCOME_OK for call in calls)} ok",
        style="bold",
    )
    return table


def budgets_table(balances: Sequence[Balance]) -> RenderableType:
    """What is left of each budget, one row for each owner seen in the current window."""
    heading = _heading("What is left of each budget")
    table = _table()
    table.add_column("budget", overflow="fold")
    table.add_column("owner", overflow="fold")
    for column in ("limit", "settled", "held", "available"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("window ends in", justify="right", no_wrap=True)
    for balance in balances:
        amounts = (balance.limit, balance.settled, balance.held, balance.available)
        table.add_row(
            Text(broken(balance.budget, _OWNER_WIDTH)),
            Text(broken(balance.owner, _OWNER_WIDTH)),
            *(amount(number, balance.unit) for number in amounts),
            span(balance.window_ends_in_seconds),
        )
    if not balances:
        return Group(heading, Text("no budget of the tier map has been used in its current window"))
    return Group(heading, table)


def verified(findings: Sequence[Finding]) -> RenderableType:
    """What ``verify`` found, from the control plane up, and how many of each."""
    lines = [*(line(finding) for finding in in_order(findings)), summary(findings)]
    return Group(_heading("Verified, from the control plane up"), *map(Text, lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What a person needs to know of a system that keeps running."""

    origin: str
    key: str
    model: str
    again: str
    """The command that runs the Flow again."""
    emulator: str
    """Where the emulator tells its state."""
    asleep_after: float
    """Seconds without work after which workers go to sleep."""
    logs: str


def serving(facts: Serving) -> RenderableType:
    """Where the system serves, how to call it, how to stop it. Lines to copy are never wrapped."""
    body = dumps({"model": facts.model, "messages": [{"role": "user", "content": "Say hello."}]})
    lines = (
        f"OpenAI API   {facts.origin}/v1",
        f"API docs     {facts.origin}/docs",
        f"metrics      {facts.origin}/metrics",
        f"emulator     {facts.emulator}",
        f"logs         {facts.logs}",
        "",
        "Try it:",
        f"  curl {facts.origin}/v1/chat/completions -H 'authorization: Bearer {facts.key}' \\",
        f"    -H 'content-type: application/json' -d '{body}'",
        "",
        "Run the Flow again:",
        f"  {facts.again}",
        "",
        f"Workers that have had nothing to do for {facts.asleep_after:g} s go to sleep; the next call wakes one.",
        "",
        "Ctrl-C stops everything.",
    )
    return Group(_heading("Serving"), *(Text(line, no_wrap=True, overflow="ignore") for line in lines))


def dollars(microdollars: int) -> str:
    """An amount of money with all six digits of a microdollar."""
    return f"{Decimal(microdollars) / MICRODOLLARS_PER_DOLLAR:.6f}"


def amount(number: int, unit: str) -> str:
    """An amount in its unit, for people: ``4.999310 USD``, ``200,000 tokens``."""
    return f"{dollars(number)} USD" if unit == "USD" else f"{number:,} {unit}"


def span(seconds: float) -> str:
    """A duration in its two largest units: ``2 d 3 h``, ``59 min 30 s``."""
    whole = max(0, round(seconds))
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts = []
    for name, length in units:
        count, whole = divmod(whole, length)
        parts.append((count, name))
    largest = next((index for index, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {name}" for count, name in parts[largest : largest + 2])


def broken(name: str, width: int) -> str:
    """A name on lines of at most ``width`` characters, as far as its separators (``_ - / : .`` and space) allow."""
    lines = [""]
    for piece in re.split(r"(?<=[_/:. -])", name):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def _natural_width(table: Table) -> int:
    unbounded = Console(width=_UNBOUNDED)
    return Measurement.get(unbounded, unbounded.options, table).maximum


def _seconds(value: float | None) -> str:
    return _NONE if value is None else f"{value:.2f}"


def _heading(title: str) -> RenderableType:
    return Group("", Rule(Text(title), align="left"))


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, show_edge=False, padding=0, header_style="bold")
