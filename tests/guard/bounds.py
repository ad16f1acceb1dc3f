"""The bounds: what was measured when they were set, and how much above it a figure may be.

A Python of another version executes other instructions for the same program, so each minor version has figures of its
own, and each processor architecture.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

KINDS = {"json": "JSON request", "stream": "stream of 64 events"}
"""What is counted, by its name in the file → in words."""
MARGIN = 0.05
"""How far above its measured figure a figure may be, as a share. The same code's figures move by 0.4 % on a quiet
machine, by 0.6 % on one with five programs for two cores; another patch release of the same Python needs the rest."""

_HEADER = """\
# Instructions that the gateway executes per request, the kernel's not counted, with everything on: key, routing, slot,
# two budgets in a real Valkey, record, metrics, log line. `make guard` fails where a figure is more than {margin:.0%}
# above the one here. Measured by the same command under valgrind's callgrind (the median of three rounds), with the
# gateway's wheel in an environment from locks/gateway.txt. To renew one Python's figures, saying in the commit why:
#   make guard ARGS=--renew PYTHON=/path/to/python3.12
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """Whose instructions are counted: ``minor`` such as ``3.11``, ``machine`` such as ``x86_64``."""

    minor: str
    machine: str
    build: str
    """Full version and compiler, for people."""

    @property
    def name(self) -> str:
        """Its table in the file of bounds."""
        return f"python-{self.minor}-{self.machine}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What was measured with one interpreter: instructions per request by kind, and its build."""

    build: str
    measured: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Lines to print, and whether every figure keeps its bound."""

    lines: tuple[str, ...]
    good: bool


def read(text: str) -> dict[str, Bound]:
    """The bounds by interpreter's name.

    Raises:
        ValueError: The text is no TOML, or a table lacks a figure.
    """
    bounds = {}
    for name, table in tomllib.loads(text).items():
        try:
            measured = {kind: int(table[kind]) for kind in KINDS}
            bounds[name] = Bound(build=str(table["build"]), measured=measured)
        except (KeyError, TypeError) as error:
            raise ValueError(f"bounds of {name}: {error} is missing or wrong") from error
    return bounds


def written(bounds: Mapping[str, Bound]) -> str:
    """The text that ``read`` takes, in the order of names."""
    tables = [
        "\n".join(
            [f'["{name}"]', f'build = "{bound.build}"', *(f"{kind} = {bound.measured[kind]:_}" for kind in KINDS)]
        )
        for name, bound in sorted(bounds.items())
    ]
    return "\n\n".join([_HEADER.format(margin=MARGIN).rstrip("\n"), *tables]) + "\n"


def renewed(bounds: Mapping[str, Bound], interpreter: Interpreter, figures: Mapping[str, int]) -> dict[str, Bound]:
    """``bounds`` with one interpreter's replaced by what was measured now."""
    return {**bounds, interpreter.name: Bound(build=interpreter.build, measured=dict(figures))}


def judge(bounds: Mapping[str, Bound], interpreter: Interpreter, figures: Mapping[str, int]) -> Verdict:
    """Hold ``figures`` against the interpreter's bounds.

    An interpreter without bounds fails: a guard that lets through what it cannot judge is silent just where somebody
    has moved to another Python. Figures far below their bounds are good, and ask for a renewal, since they leave room
    for a regression that nobody would see.
    """
    bound = bounds.get(interpreter.name)
    if bound is None:
        return Verdict(lines=_without_bound(bounds, interpreter, figures), good=False)
    lines, good = [], True
    for kind, words in KINDS.items():
        now, then = figures[kind], bound.measured[kind]
        most = round(then * (1 + MARGIN))
        good = good and now <= most
        lines.append(
            f"{'ok  ' if now <= most else 'FAIL'} {words}: {now:,} instructions, at most {most:,} "
            f"({now / then - 1:+.1%} against {then:,} measured, {MARGIN:.0%} allowed)"
        )
    if not good:
        lines.append("A request costs more than it did. If that is worth it: make guard ARGS=--renew, and say why.")
    elif interpreter.build == bound.build and any(
        figures[kind] < bound.measured[kind] * (1 - MARGIN) for kind in KINDS
    ):
        lines.append("Well below its bound: renew it (make guard ARGS=--renew), so that the gain is kept.")
    if interpreter.build != bound.build:
        lines.append(f"The bounds are of {bound.build}, this is {interpreter.build}: builds differ by up to 10 %.")
    return Verdict(lines=tuple(lines), good=good)


def _without_bound(
    bounds: Mapping[str, Bound], interpreter: Interpreter, figures: Mapping[str, int]
) -> tuple[str, ...]:
    return (
        f"FAIL no bounds for {interpreter.name}, only for {', '.join(sorted(bounds)) or 'none'}.",
        *(f"     {words}: {figures[kind]:,} instructions" for kind, words in KINDS.items()),
        "Take a Python that has bounds, or add this one's: make guard ARGS=--renew.",
    )
