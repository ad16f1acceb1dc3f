"""Hears that a step of a run begins, and announces the tiers of what comes after it.

A stream sink of CrewAI's: called in order, in the thread where an event happens. Steps that a run passes because they
are kept do not begin, so that a run that is carried on announces what it still needs alone.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

from crewai.events.types.flow_events import MethodExecutionStartedEvent

from orchestrator.flow import FlowClass
from orchestrator.graph import Graph, graph_of
from orchestrator.identity import current_identity
from tiers.naming import AUTO

STEPS_AHEAD: Final = 2
"""A cold start takes longer than most steps. Much further ahead a worker would fall asleep again before it is used."""


class Announce(Protocol):
    """As ``orchestrator.warming.announcer.Announcer.announce``."""

    def __call__(self, run: str, tiers: Sequence[str]) -> None:
        """Have these tiers announced, soon."""


class StepWatch:
    """For all runs that it hears of."""

    def __init__(self, announce: Announce, *, say: Callable[[str], object]) -> None:
        """``say`` is told of a Flow whose graph cannot be read."""
        self._announce = announce
        self._say = say
        self._known: WeakKeyDictionary[FlowClass, Mapping[str, tuple[str, ...]]] = WeakKeyDictionary()

    def __call__(self, source: object, event: object) -> None:
        """Take note of an event; ``source`` is what it happened to."""
        if isinstance(event, MethodExecutionStartedEvent) and not getattr(type(source), "is_crewai_internal", False):
            flow: Any = source
            tiers = self._tiers_of(type(flow)).get(event.method_name)
            if tiers:
                self._announce(current_identity().run, tiers)

    def _tiers_of(self, flow_class: FlowClass) -> Mapping[str, tuple[str, ...]]:
        """By step: what is announced when it begins."""
        known = self._known.get(flow_class)
        if known is None:
            known = self._known[flow_class] = self._read(flow_class)
        return known

    def _read(self, flow_class: FlowClass) -> Mapping[str, tuple[str, ...]]:
        try:
            graph = graph_of(flow_class)
            return {step.name: announced_by(graph, step.name) for step in graph.steps}
        except Exception as error:  # noqa: BLE001 - no run fails because its Flow's code is as nobody has thought of
            self._say(f"tiers of {flow_class.__name__} are not announced: {type(error).__name__}: {error}")
            return {}


def announced_by(graph: Graph, step: str) -> tuple[str, ...]:
    """The tiers that are announced when a step begins: what comes next, and its own but the first.

    What it calls first is woken by that call; which tier ``auto`` stands for shows when there is a request.
    """
    own = graph.step(step).tiers.names
    wanted = (*own[1:], *graph.next_tiers(step, ahead=STEPS_AHEAD))
    return tuple(dict.fromkeys(tier for tier in wanted if tier not in {*own[:1], AUTO}))
