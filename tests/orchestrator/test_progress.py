"""A run's events become lines in order, with who asks which tier and how long it took."""

from datetime import UTC, datetime, timedelta

from crewai.agents.agent_executor import AgentExecutor
from crewai.events.base_events import BaseEvent
from crewai.events.types.flow_events import (
    FlowStartedEvent,
    MethodExecutionFailedEvent,
    MethodExecutionFinishedEvent,
    MethodExecutionStartedEvent,
)
from crewai.events.types.llm_events import (
    LLMCallCompletedEvent,
    LLMCallFailedEvent,
    LLMCallStartedEvent,
    LLMCallType,
)

from orchestrator.progress import ProgressLines

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float, event: BaseEvent) -> BaseEvent:
    event.timestamp = START + timedelta(seconds=seconds)
    return event


def step(name: str) -> MethodExecutionStartedEvent:
    return MethodExecutionStartedEvent(flow_name="F", method_name=name, state={})


def lines_of(*events: object, source: object = None) -> list[str]:
    lines: list[str] = []
    progress = ProgressLines(lines.append)
    for event in events:
        progress(source, event)
    return lines


def test_steps_and_calls_become_lines_with_elapsed_seconds() -> None:
    asked = LLMCallStartedEvent(call_id="1", model="routing", agent_role="router\n")
    answered = LLMCallCompletedEvent(
        call_id="1", model="routing", agent_role="router\n", response="x", call_type=LLMCallType.LLM_CALL,
        usage={"prompt_tokens": 9, "completion_tokens": 4},
    )  # fmt: skip
    done = MethodExecutionFinishedEvent(flow_name="F", method_name="sort", state={})
    assert lines_of(at(0, step("sort")), at(0.25, asked), at(2.75, answered), at(12.5, done)) == [
        "    0.0 s  step sort",
        "    0.2 s    router asks tier routing",
        "    2.8 s    router has an answer from routing after 2.5 s, 9 tokens in, 4 out",
        "   12.5 s  step sort done",
    ]


def test_a_failed_call_is_told_once() -> None:
    """CrewAI reports the same failure from two places."""
    asked = LLMCallStartedEvent(call_id="1", model="routing")
    failed = LLMCallFailedEvent(call_id="1", model="routing", error="no")
    broken = MethodExecutionFailedEvent(flow_name="F", method_name="sort", error=RuntimeError("no"))
    assert lines_of(at(0, asked), at(1, failed), at(1, failed), at(2, broken)) == [
        "    0.0 s    the step asks tier routing",
        "    1.0 s    the step has no answer from routing after 1.0 s",
        "    2.0 s  step sort failed",
    ]


def test_an_answer_without_usage_or_beginning_still_has_a_line() -> None:
    answered = LLMCallCompletedEvent(call_id="2", model="reasoning", response="x", call_type=LLMCallType.LLM_CALL)
    assert lines_of(at(0, answered)) == ["    0.0 s    the step has an answer from reasoning"]


def test_what_is_no_step_of_the_flow_has_no_line() -> None:
    """An agent's executor is a Flow inside CrewAI: its methods are not steps."""
    assert lines_of(step("call_llm"), source=AgentExecutor.__new__(AgentExecutor)) == []
    assert lines_of(FlowStartedEvent(flow_name="F"), "not an event") == []
