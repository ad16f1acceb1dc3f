"""A plan for people: as text for a terminal, and as Markdown for a review."""

from collections.abc import Iterator

from deploy.fleet.change import Change, Plan
from deploy.fleet.prices import dollars

_SIGNS = {"create": "+", "update": "~", "delete": "-"}
_VERBS = {"create": "make", "update": "change", "delete": "delete"}


def as_text(plan: Plan) -> str:
    """Every change with its fields and cost, then what hinders it, then the sums."""
    lines = [f"fleet {plan.fleet}: {summary(plan)}", *(f"note: {note}" for note in plan.notes)]
    for change in plan.changes:
        lines += ["", *_block(change)]
    lines += ["", *(f"UNSAFE: {why}" for why in plan.unsafe)]
    for obstacle in plan.obstacles:
        lines += [f"PROBLEM: {obstacle.message}", f"  what to do: {obstacle.remedy}"]
    return "\n".join([*lines, *_sums(plan)]).replace("\n\n\n", "\n\n") + "\n"


def as_markdown(plan: Plan) -> str:
    """The same as a table, with the fields below it."""
    lines = [f"## Fleet {plan.fleet}: {summary(plan)}", "", *(f"> {note}\n" for note in plan.notes)]
    if plan.changes:
        lines += ["| | what | name | at most per hour | per idle day | unsafe |", "|---|---|---|---|---|---|"]
    for change in plan.changes:
        what = f"{_VERBS[change.action]} {change.kind} `{change.key}`"
        cost = [dollars(change.hour_max), dollars(change.idle_day)] if change.action != "delete" else ["", ""]
        row = [_SIGNS[change.action], what, f"`{change.name}`", *cost, _cell("; ".join(change.unsafe))]
        lines.append(f"| {' | '.join(row)} |")
    for change in (each for each in plan.changes if each.fields):
        lines += ["", f"**{change.label}**", "", "| field | before | after |", "|---|---|---|"]
        lines += [f"| `{one.field}` | {_cell(one.before)} | {_cell(one.after)} |" for one in change.fields]
    lines += ["", *(f"**Unsafe:** {why}\n" for why in plan.unsafe)]
    lines += [f"**Problem:** {one.message}. {one.remedy}\n" for one in plan.obstacles]
    return "\n".join([*lines, *(f"{line}  " for line in _sums(plan))]) + "\n"


def summary(plan: Plan) -> str:
    """How many changes of which kind."""
    if not plan.changes:
        return "nothing to change"
    counts = [(verb, sum(change.action == action for change in plan.changes)) for action, verb in _VERBS.items()]
    return ", ".join(f"{count} to {verb}" for verb, count in counts if count)


def _block(change: Change) -> Iterator[str]:
    there = f" ({change.id})" if change.id else ""
    yield f"{_SIGNS[change.action]} {change.kind} {change.key}: {change.name}{there}"
    width = max((len(one.field) for one in change.fields), default=0)
    for one in change.fields:
        before = f"{one.before} -> " if change.action == "update" else ""
        yield f"    {one.field:<{width}}  {before}{one.after}"
    if change.action != "delete" and (change.hour_max or change.idle_day):
        yield f"    costs {dollars(change.hour_max)} an hour at most, {dollars(change.idle_day)} on an idle day"
    yield from (f"    UNSAFE: {why}" for why in change.unsafe)


def _sums(plan: Plan) -> Iterator[str]:
    yield f"the fleet then costs {dollars(plan.hour_max)} an hour at most, {dollars(plan.idle_day)} on an idle day"
    if plan.quota:
        yield f"workers of the account: {plan.workers} at most, of {plan.quota}"
    if plan.changes:
        yield f"plan {plan.checksum}"
    if plan.is_unsafe:
        yield "it needs a second word: --allow-unsafe"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
