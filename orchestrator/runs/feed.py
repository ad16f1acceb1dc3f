"""A run's events on their way into the store: taken in any thread, written one after the other.

It is a stream sink: CrewAI calls it in order, in the thread where something happens. Steps are told by ``durable.py``,
which knows when they are kept. What is told of agents, tools and calls are names, times and counts; only tokens are
texts, several in one event where they come faster than the store takes them.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime
from threading import Lock
from typing import Final

from crewai.events.base_events import BaseEvent
from crewai.events.types.agent_events import (
    AgentExecutionCompletedEvent,
    AgentExecutionStartedEvent,
    LiteAgentExecutionCompletedEvent,
    LiteAgentExecutionStartedEvent,
)
from crewai.events.types.llm_events import (
    LLMCallCompletedEvent,
    LLMCallFailedEvent,
    LLMCallStartedEvent,
    LLMStreamChunkEvent,
)
from crewai.events.types.tool_usage_events import (
    ToolUsageErrorEvent,
    ToolUsageFinishedEvent,
    ToolUsageStartedEvent,
)
from pydantic import JsonValue

from orchestrator.call_waits import current_waits
from orchestrator.identity import current_identity
from orchestrator.runs.kept_secrets import KeptSecrets
from orchestrator.runs.meter import Meter

WAITING_MAX: Final = 10_000
"""Events that wait for the store; more tokens are dropped then, and nothing else is."""

Write = Callable[[str, dict[str, JsonValue]], Awaitable[None]]

_AGENTS: dict[type, str] = {
    AgentExecutionStartedEvent: "agent.started",
    AgentExecutionCompletedEvent: "agent.finished",
    LiteAgentExecutionStartedEvent: "agent.started",
    LiteAgentExecutionCompletedEvent: "agent.finished",
}
_TOOLS: dict[type, str] = {
    ToolUsageStartedEvent: "tool.started",
    ToolUsageFinishedEvent: "tool.finished",
    ToolUsageErrorEvent: "tool.failed",
}


class Feed:
    """Made on the loop that writes. ``write`` may raise ``OwnershipLost``: then the rest is dropped."""

    def __init__(self, *, write: Write, meter: Meter, secrets: KeptSecrets) -> None:
        self._write = write
        self._meter = meter
        self._secrets = secrets
        self._waiting: deque[tuple[str, dict[str, JsonValue]]] = deque()
        self._lock = Lock()
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._writing = asyncio.Lock()
        self._calls: dict[str, datetime] = {}
        self._first_tokens: dict[str, datetime] = {}

    def tell(self, type_: str, data: dict[str, JsonValue]) -> None:
        """Have an event written after all that were told before; from any thread."""
        with self._lock:
            last = self._waiting[-1] if self._waiting else None
            if type_ == "token" and last is not None and last[0] == "token" and last[1]["call"] == data["call"]:
                self._waiting[-1] = ("token", {**data, "text": f"{last[1]['text']}{data['text']}"})
                return
            if type_ == "token" and len(self._waiting) >= WAITING_MAX:
                return
            self._waiting.append((type_, data))
        self._loop.call_soon_threadsafe(self._arrived.set)

    async def work(self) -> None:
        """Write what is told, until cancelled. Raises what ``write`` raises."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            await self.flush()

    async def flush(self) -> None:
        """Write all that was told so far."""
        async with self._writing:
            while True:
                with self._lock:
                    if not self._waiting:
                        return
                    type_, data = self._waiting.popleft()
                await self._write(type_, self._secrets.scrubbed(data))

    def __call__(self, _source: object, event: object) -> None:
        """Take one of CrewAI's events."""
        if not isinstance(event, BaseEvent):
            return
        match event:
            case LLMStreamChunkEvent() if event.chunk:
                self._first_tokens.setdefault(event.call_id, event.timestamp)
                self.tell("token", self._named(call=event.call_id, text=event.chunk))
            case LLMCallStartedEvent():
                self._calls[event.call_id] = event.timestamp
                self.tell("call.started", self._named(call=event.call_id, tier=event.model))
            case LLMCallCompletedEvent() | LLMCallFailedEvent():
                self._call_ended(event)
            case _ if type(event) in _AGENTS:
                agent = getattr(event, "agent", None) or getattr(event, "agent_info", None)
                role = agent.get("role") if isinstance(agent, dict) else getattr(agent, "role", "")
                self.tell(_AGENTS[type(event)], self._named(agent=str(role or "").strip()))
            case ToolUsageStartedEvent() | ToolUsageFinishedEvent() | ToolUsageErrorEvent():
                self.tell(_TOOLS[type(event)], self._named(tool=event.tool_name))
            case _:
                pass

    def _call_ended(self, event: LLMCallCompletedEvent | LLMCallFailedEvent) -> None:
        started = self._calls.pop(event.call_id, event.timestamp)
        seconds = _between(started, event.timestamp)
        told = self._named(call=event.call_id, tier=event.model, seconds=seconds)
        first = self._first_tokens.pop(event.call_id, None)
        if first is not None:
            told["first_token_seconds"] = _between(started, first)
        waits = current_waits()
        told |= {name: part for name, part in waits.parts().items() if part}
        layers = waits.parts() | _answered(seconds, None if first is None else _between(started, first), waits.whole)
        step = current_identity().step
        if isinstance(event, LLMCallFailedEvent):
            self._meter.add(step, calls=1, calls_failed=1, call_seconds=seconds, **layers)
            self.tell("call.failed", told)
            return
        usage = event.usage or {}
        tokens_in, tokens_out = (int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens"))
        tokens = {"tokens_in": tokens_in, "tokens_out": tokens_out}
        self._meter.add(step, calls=1, call_seconds=seconds, **tokens, **layers)
        self.tell("call.finished", {**told, **tokens})

    @staticmethod
    def _named(**more: JsonValue) -> dict[str, JsonValue]:
        """With the step and the agent that it happens in, where they are known."""
        identity = current_identity()
        known: dict[str, JsonValue] = {"step": identity.step, "agent": identity.agent.strip()}
        return {name: value for name, value in {**known, **more}.items() if value not in {"", None}}


def _answered(seconds: float, first_token: float | None, waited: float) -> dict[str, float]:
    """What of a call's time its answer itself took, after all that it waited for."""
    if first_token is None:
        return {"answer_seconds": max(0.0, seconds - waited)}
    return {
        "first_token_seconds": max(0.0, first_token - waited),
        "generation_seconds": max(0.0, seconds - first_token),
    }


def _between(earlier: datetime, later: datetime) -> float:
    return round(max(0.0, (later - earlier).total_seconds()), 6)
