"""A run's progress as lines of text: each step of the Flow, and each LLM call with its agent and tier."""

from collections.abc import Callable
from datetime import datetime

from crewai.events.base_events import BaseEvent
from crewai.events.types.flow_events import (
    MethodExecutionFailedEvent,
    MethodExecutionFinishedEvent,
    MethodExecutionStartedEvent,
)
from crewai.events.types.llm_events import LLMCallCompletedEvent, LLMCallFailedEvent, LLMCallStartedEvent


class ProgressLines:
    """Turns CrewAI's events of one run into lines and hands each to ``write``.

    It is a stream sink: CrewAI calls it in order, in the thread where the event happens. Every line starts
    with the seconds since the first event, by the events' own clock.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._first: datetime | None = None
        self._calls: dict[str, datetime] = {}

    def __call__(self, source: object, event: object) -> None:
        """Write the line of ``event``, where it has one; ``source`` is what it happened to."""
        if not isinstance(event, BaseEvent) or getattr(type(source), "is_crewai_internal", False):
            return
        self._first = self._first or event.timestamp
        line = self._line(event)
        if line:
            elapsed = (event.timestamp - self._first).total_seconds()
            self._write(f"{elapsed:7.1f} s  {line}")

    def _line(self, event: BaseEvent) -> str | None:
        line = None
        match event:
            case MethodExecutionStartedEvent():
                line = f"step {event.method_name}"
            case MethodExecutionFinishedEvent():
                line = f"step {event.method_name} done"
            case MethodExecutionFailedEvent():
                line = f"step {event.method_name} failed"
            case LLMCallStartedEvent():
                self._calls[event.call_id] = event.timestamp
                line = f"  {_caller(event)} asks tier {event.model}"
            case LLMCallCompletedEvent():
                line = f"  {_caller(event)} has an answer from {event.model}{self._after(event)}{_tokens(event)}"
            case LLMCallFailedEvent() if event.call_id in self._calls:
                line = f"  {_caller(event)} has no answer from {event.model}{self._after(event)}"
            case _:
                pass
        return line

    def _after(self, event: LLMCallCompletedEvent | LLMCallFailedEvent) -> str:
        started = self._calls.pop(event.call_id, None)
        return "" if started is None else f" after {(event.timestamp - started).total_seconds():.1f} s"


def _caller(event: LLMCallStartedEvent | LLMCallCompletedEvent | LLMCallFailedEvent) -> str:
    return (event.agent_role or "the step").strip()


def _tokens(event: LLMCallCompletedEvent) -> str:
    usage = event.usage or {}
    if "prompt_tokens" not in usage:
        return ""
    return f", {usage['prompt_tokens']} tokens in, {usage.get('completion_tokens', 0)} out"
