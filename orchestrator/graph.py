"""A Flow's graph, read from its definition: its steps, what leads from one to the next, and the tiers that each uses.

No Flow is made and nothing of it runs. CrewAI's definition tells the steps, their conditions and a router's labels
where it names them (``-> Literal["a", "b"]``, ``emit=``); a router that names none may return any label that somebody
listens to and nobody else claims, and its edges say so. The tiers are read from the steps' code (``step_tiers``).
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count
from typing import Any, Final

from crewai.flow.flow_definition import FlowMethodDefinition

from orchestrator.flow import FlowClass
from orchestrator.step_tiers import TiersUsed, tiers_used

_JOINS: Final = ("and", "or")


class StepKind(StrEnum):
    """When a step runs: at the start of a run, after others, or after others to choose what comes next."""

    START = "start"
    LISTENER = "listener"
    ROUTER = "router"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step.

    Attributes:
        name: The method's name.
        kind: When it runs. A router that begins a run is a router, and ``starts``.
        starts: Whether a run begins with it.
        condition: What it waits for, as ``a``, ``a or b``, ``a and (b or c)``; empty where it waits for nothing.
        labels: What a router, or a person who is asked, can answer; empty where that is not declared.
        asks: What a person is asked after it; ``None`` where nobody is.
        tiers: The tiers that its agents use.
    """

    name: str
    kind: StepKind
    starts: bool
    condition: str
    labels: tuple[str, ...]
    asks: str | None
    tiers: TiersUsed


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What leads from one step to another.

    Attributes:
        source: The step that ends.
        target: The step that then may run.
        label: The router's label that has to come; ``None`` where the end of ``source`` is enough.
        join: Which ``and_`` of the target's it belongs to, from 1; 0 where the target waits for nothing else.
        declared: ``False`` where ``source`` is a router that names no labels, and may never return this one.
        back: Whether it closes a loop.
    """

    source: str
    target: str
    label: str | None = None
    join: int = 0
    declared: bool = True
    back: bool = False

    @property
    def joined(self) -> bool:
        """Whether ``target`` waits for others too."""
        return self.join > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A Flow's steps, in the order of the class, and its edges."""

    flow: str
    steps: tuple[Step, ...]
    edges: tuple[Edge, ...]

    def step(self, name: str) -> Step:
        """The step of that name. Raises ``KeyError`` where there is none."""
        for each in self.steps:
            if each.name == name:
                return each
        raise KeyError(name)

    def next_steps(self, name: str) -> tuple[Step, ...]:
        """The steps that the end of this one can lead to, all branches of a router included."""
        following = {edge.target for edge in self.edges if edge.source == name}
        return tuple(each for each in self.steps if each.name in following)

    def next_tiers(self, name: str, *, ahead: int = 1) -> tuple[str, ...]:
        """The tiers that the next ``ahead`` steps may use, the nearest first, each once.

        A router that asks no model takes no time: what follows it counts as near as itself. After a step that asks a
        person nothing is near.
        """
        distances = {name: 0}
        waiting = deque([name])
        while waiting:
            here = waiting.popleft()
            if self.step(here).asks is not None:
                continue
            for each in self.next_steps(here):
                passed = each.kind is StepKind.ROUTER and each.tiers.known and not each.tiers.names
                distance = distances[here] + (not passed)
                if distance <= ahead and distance < distances.get(each.name, ahead + 1):
                    distances[each.name] = distance
                    waiting.append(each.name)
        near = sorted((each for each in self.steps if each.name in distances), key=lambda each: distances[each.name])
        back_again = any(each.name == name for step in near for each in self.next_steps(step.name))
        return tuple(dict.fromkeys(t for each in near if each.name != name or back_again for t in each.tiers.names))


def graph_of(flow_class: FlowClass) -> Graph:
    """The graph of ``flow_class``; nothing of it runs."""
    methods = flow_class.flow_definition().methods
    # As CrewAI does: a start with a condition begins a run only where no other does.
    starts = {name for name, method in methods.items() if method.start is True} or {
        name for name, method in methods.items() if method.is_start
    }
    return Graph(
        flow=flow_class.__name__,
        steps=tuple(_step(flow_class, name, method, starts=name in starts) for name, method in methods.items()),
        edges=_with_loops(tuple(methods), tuple(dict.fromkeys(_edges(methods)))),
    )


def _step(flow_class: FlowClass, name: str, method: FlowMethodDefinition, *, starts: bool) -> Step:
    kind = StepKind.ROUTER if method.router else StepKind.START if starts else StepKind.LISTENER
    return Step(
        name=name,
        kind=kind,
        starts=starts,
        condition=" or ".join(_said(each) for each in _conditions(method)),
        labels=_labels(method),
        asks=None if method.human_feedback is None else method.human_feedback.message,
        tiers=tiers_used(flow_class, name),
    )


def _labels(method: FlowMethodDefinition) -> tuple[str, ...]:
    asked = method.human_feedback.emit if method.human_feedback is not None else None
    return tuple(method.emit or asked or ())


def _conditions(method: FlowMethodDefinition) -> list[Any]:
    """What the method waits for: a name or a tree of names; ``start`` may hold one too."""
    return [each for each in (method.listen, method.start) if each and not isinstance(each, bool)]


def _said(condition: Any, *, inner: bool = False) -> str:  # noqa: ANN401 - a tree of CrewAI's
    if isinstance(condition, str):
        return condition
    for join in _JOINS:
        if isinstance(condition, Mapping) and join in condition:
            said = f" {join} ".join(_said(each, inner=True) for each in condition[join])
            return f"({said})" if inner and len(condition[join]) > 1 else said
    return str(condition)


def _triggers(condition: Any, joins: Iterator[int], join: int = 0) -> Iterator[tuple[str, int]]:  # noqa: ANN401 - as above
    """Each name in the tree, and the outermost ``and_`` that it is in."""
    if isinstance(condition, str):
        yield condition, join
    elif isinstance(condition, Mapping):
        for word in _JOINS:
            several = condition.get(word) or ()
            opens = word == "and" and len(several) > 1 and not join
            inner = next(joins) if opens else join
            for each in several:
                yield from _triggers(each, joins, inner)


def _edges(methods: Mapping[str, FlowMethodDefinition]) -> Iterator[Edge]:
    by_label: dict[str, list[str]] = {}
    for name, method in methods.items():
        for label in _labels(method):
            by_label.setdefault(label, []).append(name)
    silent = [name for name, method in methods.items() if method.router and not _labels(method)]
    for target, method in methods.items():
        joins = count(1)
        for condition in _conditions(method):
            for trigger, join in _triggers(condition, joins):
                if trigger in methods:
                    yield Edge(source=trigger, target=target, join=join)
                    continue
                claimed = trigger in by_label
                for source in by_label.get(trigger, silent):
                    yield Edge(source=source, target=target, label=trigger, join=join, declared=claimed)


def _with_loops(steps: tuple[str, ...], edges: tuple[Edge, ...]) -> tuple[Edge, ...]:
    """The same edges; those that lead back to a step which came before them say so."""
    following: dict[str, list[Edge]] = {}
    for edge in edges:
        following.setdefault(edge.source, []).append(edge)
    back: set[Edge] = set()
    seen: set[str] = set()
    for root in steps:
        way = {} if root in seen else {root: iter(following.get(root, ()))}
        seen.add(root)
        while way:
            here = next(reversed(way))
            for edge in way[here]:
                if edge.target in way:
                    back.add(edge)
                elif edge.target not in seen:
                    seen.add(edge.target)
                    way[edge.target] = iter(following.get(edge.target, ()))
                    break
            else:
                del way[here]
    return tuple(replace(edge, back=True) if edge in back else edge for edge in edges)
