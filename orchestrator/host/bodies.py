"""Documents that come in and go out; the edge, so pydantic."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from orchestrator.run_names import RUN_NAME
from orchestrator.runs.run import Run

FEEDBACK_LENGTH_MAX = 100_000
"""Characters of what a person says."""

BOUND_MAX = 1_000_000_000
"""What no bound of a run reaches: the gateway reads no larger one."""

RunName = Annotated[str, StringConstraints(pattern=f"^{RUN_NAME}$")]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class RunBody(_Asked):
    """What a run is asked for with; all of it may be left out."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {"inputs": {"customer": "Grace", "message": "I was charged twice."}},
                {"inputs": {}, "run": "ticket-4711", "max_usd": 0.5, "max_calls": 40, "deadline_seconds": 900},
            ]
        },
    )

    inputs: Annotated[dict[str, JsonValue], Field(description="Fields of the Flow's state.")] = {}
    run: Annotated[RunName | None, Field(description="The run's name; a fresh UUID where it is left out.")] = None
    max_usd: Annotated[float | None, Field(gt=0, lt=BOUND_MAX, description="US dollars that it may spend in all.")] = (
        None
    )
    max_calls: Annotated[int | None, Field(gt=0, lt=BOUND_MAX, description="LLM calls that it may make in all.")] = None
    deadline_seconds: Annotated[
        float | None, Field(gt=0, lt=BOUND_MAX, description="Seconds from now after which nothing of it goes on.")
    ] = None


class ResumeBody(_Asked):
    """How a run is resumed."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{}, {"accept_changed_code": True}]}
    )

    accept_changed_code: Annotated[
        bool, Field(description="Go on with the Flow's code as it is now, although the run began with another one.")
    ] = False


class FeedbackBody(_Asked):
    """What a person says to a run that waits."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"feedback": "Approved, but make it shorter."}]}
    )

    feedback: Annotated[str, StringConstraints(max_length=FEEDBACK_LENGTH_MAX)]


class ProblemBody(BaseModel):
    """One field at fault."""

    field: str
    reason: str


class ErrorBody(BaseModel):
    """Why something was refused: a stable code, a sentence, what to do."""

    code: str
    message: str
    remedy: str
    problems: list[ProblemBody] | None = None


class RefusalDocument(BaseModel):
    """What every refusal answers."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "error": {
                        "code": "inputs_refused",
                        "message": "ResearchFlow refuses its inputs: topic: Input should be a valid string",
                        "remedy": "Give inputs that the Flow's state takes. Nothing was started.",
                        "problems": [{"field": "topic", "reason": "Input should be a valid string"}],
                    }
                }
            ]
        }
    )

    error: ErrorBody


class RunProblem(BaseModel):
    """Why a run failed."""

    type: str
    message: str
    step: str = ""


class RunQuestion(BaseModel):
    """What a person is asked; ``outcomes`` are the routes that an answer can take."""

    step: str
    message: str
    output: JsonValue
    outcomes: list[str]


class RunDocument(BaseModel):
    """A run. Times are Unix seconds, ``null`` where the moment has not come."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "run": "ticket-4711",
                    "flow": "SupportTriageFlow",
                    "status": "succeeded",
                    "inputs": {"customer": "Grace"},
                    "output": "Dear Grace, …",
                    "state": {"id": "ticket-4711", "customer": "Grace"},
                    "error": None,
                    "question": None,
                    "steps": 5,
                    "attempts": 1,
                    "created": 1795420800.0,
                    "started": 1795420800.1,
                    "ended": 1795420812.4,
                    "seconds": 12.3,
                    "usage": {},
                    "links": {
                        "self": "/runs/ticket-4711",
                        "events": "/runs/ticket-4711/events",
                        "cancel": "/runs/ticket-4711/cancel",
                    },
                }
            ]
        }
    )

    run: str
    flow: str
    status: Annotated[str, Field(description="queued, running, waiting, succeeded, failed or cancelled")]
    inputs: dict[str, JsonValue]
    output: Annotated[JsonValue, Field(description="What its last step returned, else its state.")]
    state: dict[str, JsonValue]
    error: RunProblem | None
    question: RunQuestion | None
    steps: Annotated[int, Field(description="Steps whose results are kept.")]
    attempts: Annotated[int, Field(description="How often a worker took it up.")]
    cancel_wanted: bool
    created: float
    started: float | None
    ended: float | None
    seconds: Annotated[float | None, Field(description="From its start to its end.")]
    usage: dict[str, JsonValue]
    links: dict[str, str]

    @classmethod
    def of(cls, run: Run) -> "RunDocument":
        """The run as it is told."""
        problem, question = run.problem, run.question
        return cls(
            run=run.name,
            flow=run.flow,
            status=run.state.value,
            inputs=dict(run.inputs),
            output=run.output,
            state=dict(run.final_state),
            error=RunProblem(type=problem.type, message=problem.message, step=problem.step) if problem else None,
            question=RunQuestion(
                step=question.step,
                message=question.message,
                output=question.output,
                outcomes=list(question.outcomes),
            )
            if question
            else None,
            steps=run.steps,
            attempts=run.attempts,
            cancel_wanted=run.cancel_wanted,
            created=run.created_unix,
            started=run.started_unix or None,
            ended=run.ended_unix or None,
            seconds=round(run.ended_unix - run.started_unix, 3) if run.ended_unix and run.started_unix else None,
            usage=dict(run.usage),
            links=links(run.name),
        )


class RunsDocument(BaseModel):
    """Runs, the newest first; ``before`` asks for older ones, ``null`` where there are none."""

    runs: list[RunDocument]
    before: float | None


class FlowDocument(BaseModel):
    """A Flow that is hosted, and the JSON schema of what it can be asked with."""

    flow: str
    code: Annotated[str, Field(description="The fingerprint of its code.")]
    inputs: dict[str, JsonValue]


class FlowsDocument(BaseModel):
    """The Flows that are hosted."""

    flows: list[FlowDocument]


class PingDocument(BaseModel):
    """What ``/ping`` answers once it serves."""

    status: str
    flows: list[str]
    runs: Annotated[int, Field(description="Runs under way in this worker.")]


def links(name: str) -> dict[str, str]:
    """Where a run is told about, followed and cancelled."""
    return {"self": f"/runs/{name}", "events": f"/runs/{name}/events", "cancel": f"/runs/{name}/cancel"}
