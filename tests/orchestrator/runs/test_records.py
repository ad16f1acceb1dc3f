"""Runs and steps are the same after JSON."""

import json

from orchestrator.runs.records import first_record, json_text, run_from, run_record, step_from, step_text
from orchestrator.runs.run import NewRun, Problem, Question, RunBounds, Step


def test_a_run_comes_back() -> None:
    new = NewRun(name="r", flow="F", inputs={"a": [1, None]}, code="c", bounds=RunBounds(usd_max=1.5))
    run = first_record(new, created_unix=5.0)
    assert run_from(json.loads(json_text(run_record(run)))) == run
    record = run_record(run) | {
        "question": {"step": "s#1", "message": "m", "output": None, "outcomes": ["a"]},
        "problem": {"type": "T", "message": "m", "step": ""},
        "attempts": "3",
        "cancel_wanted": "1",
        "something else": 1,
    }
    told = run_from(record)
    assert told.question == Question(step="s#1", message="m", output=None, outcomes=["a"])
    assert told.problem == Problem(type="T", message="m")
    assert (told.attempts, told.cancel_wanted) == (3, True)


def test_a_step_comes_back_from_one_line() -> None:
    step = Step(method="m", number=2, output="a\nb", state={"é": 1}, started_unix=1.5, seconds=0.1, arguments="x")
    assert "\n" not in step_text(step)
    assert step_from(step_text(step)) == step
