"""Steps that ask a person, in CrewAI's terms: what is asked, what was answered, and what the Flow makes of it."""

from typing import Any

from crewai.flow.async_feedback import HumanFeedbackPending, PendingFeedbackContext
from crewai.flow.flow import Flow
from crewai.flow.flow_definition import FlowHumanFeedbackDefinition
from crewai.flow.human_feedback import HumanFeedbackResult

from orchestrator.flow import plain
from orchestrator.llm import tier
from orchestrator.runs.run import Question


def question_for(step: str, definition: FlowHumanFeedbackDefinition, output: object) -> Question:
    """What the person is asked: ``output`` in plain JSON, for reading."""
    return Question(
        step=step, message=str(definition.message), output=plain(output), outcomes=list(definition.emit or ())
    )


def pending(
    flow: Flow[Any], name: str, definition: FlowHumanFeedbackDefinition, output: object
) -> HumanFeedbackPending:
    """CrewAI's own signal that a Flow waits for a person."""
    context = PendingFeedbackContext(
        flow_id=flow.flow_id,
        flow_class=f"{type(flow).__module__}.{type(flow).__name__}",
        method_name=str(name),
        method_output=output,
        message=str(definition.message),
        emit=list(definition.emit) if definition.emit else None,
    )
    return HumanFeedbackPending(context=context)


async def answered(
    flow: Flow[Any], name: str, definition: FlowHumanFeedbackDefinition, output: object, text: str
) -> HumanFeedbackResult:
    """What CrewAI makes of a person's ``text``: with outcomes, a model (a tier's) finds the one that was meant."""
    llm = tier(definition.llm) if isinstance(definition.llm, str) else definition.llm
    result: HumanFeedbackResult = await flow._finalize_human_feedback(  # noqa: SLF001 - as its own resume does
        method_name=name,
        method_output=output,
        raw_feedback=text,
        emit=list(definition.emit) if definition.emit else None,
        default_outcome=definition.default_outcome,
        llm=llm,
        metadata=definition.metadata or {},
    )
    await flow._store_feedback_lessons(definition, name, output, text, llm)  # noqa: SLF001 - as above
    return result


def seen(
    flow: Flow[Any],
    name: str,
    definition: FlowHumanFeedbackDefinition,
    result: HumanFeedbackResult,
    *,
    known: bool = False,
) -> object:
    """What the step returns to CrewAI; a result that is not ``known`` to the Flow yet becomes so."""
    if not known:
        flow.human_feedback_history.append(result)
        flow.last_human_feedback = result
    if not definition.emit:
        return result
    flow._human_feedback_method_outputs[name] = result  # noqa: SLF001 - as CrewAI's own step
    return result.outcome
