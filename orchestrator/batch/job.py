"""What a job of Runpod's queue says, and what it is answered. The edge, so pydantic."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field, JsonValue, ValidationError

from orchestrator.host.bodies import RunBody, RunDocument
from orchestrator.host.desk import Wish
from orchestrator.host.refusals import REFUSALS, Refused
from orchestrator.run_names import is_run_name
from orchestrator.runs.run import Run, RunState

UNSUCCESSFUL: Final = frozenset({RunState.FAILED, RunState.CANCELLED})


class JobBody(RunBody):
    """A job's ``input``: a run as ``POST /flows/FLOW/runs`` takes it, and the Flow's name."""

    flow: Annotated[str, Field(description="The Flow's name; may be left out where one is hosted.")] = ""

    def wish(self, job: str) -> Wish:
        """The run that the job of that id asks for: the same one each time that the queue gives the job out."""
        return Wish(
            inputs=self.inputs,
            name=self.run or (job if is_run_name(job) else None),
            idempotency_key=f"job:{job}",
            usd_max=self.max_usd,
            calls_max=self.max_calls,
            seconds_max=self.deadline_seconds,
        )


def read_job(job: Mapping[str, Any]) -> JobBody:
    """The job's input. Raises ``Refused`` where it is not one."""
    try:
        return JobBody.model_validate(job.get("input"))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'input'}: {each['msg']}" for each in error.errors())
        raise Refused("body_invalid", f"The job's input is not a run's: {problems}.") from error


def refusal(refused: Refused) -> dict[str, JsonValue]:
    """The answer to a job of which nothing was run: Runpod shows ``error``, a JSON object as text."""
    problems: list[JsonValue] = [{"field": each.field, "reason": each.reason} for each in refused.problems]
    return _error(type=refused.code, message=str(refused), remedy=REFUSALS[refused.code].remedy, problems=problems)


def answer(run: Run) -> dict[str, JsonValue]:
    """The answer to a job whose run rests: the run's document, or ``error`` where it did not succeed."""
    if run.state not in UNSUCCESSFUL:
        # The SDK takes a key "error" out, whatever it holds, and Runpod would call the job failed.
        return RunDocument.of(run).model_dump(mode="json", exclude={"error", "links"})
    problem = run.problem
    return _error(
        type=problem.type if problem else run.state.value,
        message=problem.message if problem else f"The run {run.name!r} was cancelled.",
        step=problem.step if problem else "",
        run=run.name,
        flow=run.flow,
        status=run.state.value,
        remedy=f"POST /runs/{run.name}/resume, to a worker that shares the store, goes on after its last step.",
    )


def _error(**fields: JsonValue) -> dict[str, JsonValue]:
    return {"error": json.dumps({name: value for name, value in fields.items() if value})}
