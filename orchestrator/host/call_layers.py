"""LLM calls counted where they are made: by tier, with how long they waited for the first token and then took."""

from threading import Lock
from time import perf_counter
from typing import Final, Protocol

from crewai.events.types.llm_events import (
    LLMCallCompletedEvent,
    LLMCallFailedEvent,
    LLMCallStartedEvent,
    LLMStreamChunkEvent,
)

from orchestrator.call_waits import current_waits

CALLS_MAX: Final = 10_000
"""Open calls that are known at once; one whose end is never told is forgotten when there are more."""


class CallMeasures(Protocol):
    """Who is told."""

    def call_ended(self, tier: str, outcome: str) -> None:
        """A call ended, ``ok`` or ``failed``."""

    def call_layer(self, tier: str, layer: str, seconds: float) -> None:
        """So long was a layer of it: ``queue``, ``hold``, ``worker``, ``tries``, ``ttft``, ``generation`` (these two of
        streamed calls alone) or ``whole``.
        """


class CallLayers:
    """A stream sink of CrewAI's for all runs of a worker: called in order, in the thread where a call happens."""

    def __init__(self, measures: CallMeasures) -> None:
        self._measures = measures
        self._open: dict[str, tuple[float, float | None]] = {}
        self._guard = Lock()

    def __call__(self, source: object, event: object) -> None:
        """Note what an event tells of a call; ``source`` is what it happened to."""
        del source
        match event:
            case LLMStreamChunkEvent():
                self._first_token(event.call_id)
            case LLMCallStartedEvent():
                self._begin(event.call_id)
            case LLMCallCompletedEvent():
                self._end(event.call_id, event.model or "", "ok")
            case LLMCallFailedEvent():
                self._end(event.call_id, event.model or "", "failed")
            case _:
                pass

    def _begin(self, call: str) -> None:
        with self._guard:
            if len(self._open) >= CALLS_MAX:
                del self._open[next(iter(self._open))]
            self._open[call] = (perf_counter(), None)

    def _first_token(self, call: str) -> None:
        with self._guard:
            began, first = self._open.get(call, (0.0, 0.0))
            if first is None:
                self._open[call] = (began, perf_counter())

    def _end(self, call: str, tier: str, outcome: str) -> None:
        with self._guard:
            began, first = self._open.pop(call, (None, None))
        if began is None:  # CrewAI tells some failures twice
            return
        self._measures.call_ended(tier, outcome)
        now = perf_counter()
        self._measures.call_layer(tier, "whole", now - began)
        for name, seconds in current_waits().parts().items():
            self._measures.call_layer(tier, name.removesuffix("_seconds"), seconds)
        if first is not None:
            self._measures.call_layer(tier, "ttft", first - began)
            self._measures.call_layer(tier, "generation", now - first)
