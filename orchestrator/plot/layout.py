"""Where a graph's steps and edges are on a page: rows from top to bottom, edges through gaps between the steps.

A step stands one row below the lowest of those that lead to it, loops aside. An edge over several rows gets a place of
its own in each row between, so that it crosses no step. Within a row, places are in the order of what leads to them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from orchestrator.graph import Edge, Graph

_SWEEPS = 4

Place = tuple[float, int]
"""Columns from the left, and rows from the top; both begin with 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Places of steps by name, and of each edge's way from row to row, both ends included."""

    steps: Mapping[str, Place]
    ways: Mapping[Edge, tuple[Place, ...]]
    columns: int
    rows: int


def laid_out(graph: Graph) -> Layout:
    """Places for ``graph``. Edges that lead back have their two ends alone."""
    names = tuple(step.name for step in graph.steps)
    forward = tuple(edge for edge in graph.edges if not edge.back)
    rows = _rows(names, forward)
    ways: dict[Edge, tuple[str, ...]] = {}
    places = dict(rows)
    for number, edge in enumerate(forward):
        between = range(rows[edge.source] + 1, rows[edge.target])
        passed = [f"{number} {row}" for row in between]
        places.update(zip(passed, between, strict=True))
        ways[edge] = (edge.source, *passed, edge.target)
    order = _ordered(places, tuple(ways.values()))
    columns = max((len(row) for row in order), default=0)
    where: dict[str, Place] = {
        name: (column + (columns - len(row)) / 2, number)
        for number, row in enumerate(order)
        for column, name in enumerate(row)
    }
    return Layout(
        steps={name: where[name] for name in names},
        ways={edge: tuple(where[each] for each in ways.get(edge, (edge.source, edge.target))) for edge in graph.edges},
        columns=columns,
        rows=len(order),
    )


def _rows(names: tuple[str, ...], edges: tuple[Edge, ...]) -> dict[str, int]:
    """The longest way to each step; without loops there is one."""
    rows = dict.fromkeys(names, 0)
    for _ in names:
        for edge in edges:
            rows[edge.target] = max(rows[edge.target], rows[edge.source] + 1)
    return rows


def _ordered(places: Mapping[str, int], ways: tuple[tuple[str, ...], ...]) -> list[list[str]]:
    """The places of each row from left to right: each near the middle of what leads to it, or it leads to."""
    order: list[list[str]] = [[] for _ in range(max(places.values(), default=-1) + 1)]
    for name, row in places.items():
        order[row].append(name)
    links = [pair for way in ways for pair in pairwise(way)]
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for names in order if down else reversed(order):
            column = {name: at / len(each) for each in order for at, name in enumerate(each)}
            near = {
                name: [column[a if down else b] for a, b in links if (b if down else a) == name] or [column[name]]
                for name in names
            }
            names.sort(key=lambda name: sum(near[name]) / len(near[name]))
    return order
