"""What jobs say, and what they are answered."""

import json
from typing import Any

import pytest

from orchestrator.batch.job import answer, read_job, refusal
from orchestrator.errors import InputProblem
from orchestrator.host.refusals import Refused
from orchestrator.runs.run import Problem, Run, RunState


def run(state: RunState, **more: Any) -> Run:  # noqa: ANN401 - its fields
    """A run of that state."""
    return Run(name="run-1", flow="Tea", inputs={}, state=state, created_unix=1.0, code="", **more)


def test_a_job_asks_for_the_same_run_each_time_that_it_is_given_out() -> None:
    body = read_job({"id": "job-1", "input": {"flow": "Tea", "inputs": {"topic": "x"}, "max_calls": 3}})
    wish = body.wish("job-1")
    assert (wish.name, wish.idempotency_key, wish.calls_max) == ("job-1", "job:job-1", 3)
    assert body.wish("job-1") == wish


def test_a_run_may_have_a_name_of_its_own_and_a_strange_job_gives_it_none() -> None:
    assert read_job({"input": {"run": "mine"}}).wish("job-1").name == "mine"
    assert read_job({"input": {}}).wish("a job/1").name is None


@pytest.mark.parametrize(
    ("given", "place"), [(None, "input"), ({"inputs": []}, "inputs"), ({"topic": "x"}, "topic"), ({"run": "-"}, "run")]
)
def test_what_is_no_run_is_refused_with_its_place(given: object, place: str) -> None:
    with pytest.raises(Refused, match=place) as caught:
        read_job({"id": "job-1", "input": given})
    assert caught.value.code == "body_invalid"


def test_a_refusal_is_an_object_as_text() -> None:
    refused = Refused("inputs_refused", "Tea refuses its inputs", (InputProblem(field="topic", reason="missing"),))
    told = json.loads(str(refusal(refused)["error"]))
    assert told["type"] == "inputs_refused"
    assert told["remedy"]
    assert told["problems"] == [{"field": "topic", "reason": "missing"}]


def test_a_run_that_succeeded_or_waits_is_its_document() -> None:
    """Without a key "error", which the SDK would take for one whatever it holds."""
    told = answer(run(RunState.SUCCEEDED, output="TEA"))
    assert (told["status"], told["output"], "error" in told) == ("succeeded", "TEA", False)
    assert answer(run(RunState.WAITING))["status"] == "waiting"


def test_a_run_that_failed_is_its_cause_and_how_it_goes_on() -> None:
    failed = run(RunState.FAILED, problem=Problem(type="ValueError", message="no tea", step="two#1"))
    told = json.loads(str(answer(failed)["error"]))
    assert (told["type"], told["message"], told["step"], told["status"]) == ("ValueError", "no tea", "two#1", "failed")
    assert "/runs/run-1/resume" in told["remedy"]
    assert json.loads(str(answer(run(RunState.CANCELLED))["error"]))["type"] == "cancelled"
