"""Runs as documents."""

from orchestrator.host.bodies import RunDocument
from orchestrator.runs.run import Problem, Question, Run, RunState


def a_run(**fields: object) -> Run:
    """A run."""
    given: dict[str, object] = {"name": "r", "flow": "F", "state": RunState.QUEUED, "inputs": {}, "code": "c"}
    return Run(**{**given, "created_unix": 5.0, **fields})  # type: ignore[arg-type]


def test_a_moment_that_has_not_come_is_null() -> None:
    document = RunDocument.of(a_run())
    assert (document.created, document.started, document.ended, document.seconds) == (5.0, None, None, None)
    assert document.links["events"] == "/runs/r/events"


def test_an_ended_run_tells_its_seconds_and_why_it_failed() -> None:
    problem = Problem(type="RuntimeError", message="cold oven", step="bake")
    document = RunDocument.of(a_run(state=RunState.FAILED, started_unix=6.0, ended_unix=7.25, problem=problem))
    assert (document.status, document.seconds) == ("failed", 1.25)
    assert document.error is not None
    assert document.error.step == "bake"


def test_a_waiting_run_tells_its_question() -> None:
    question = Question(step="review#1", message="Good?", output={"a": 1}, outcomes=("yes", "no"))
    document = RunDocument.of(a_run(state=RunState.WAITING, question=question))
    assert document.question is not None
    assert document.question.outcomes == ["yes", "no"]
