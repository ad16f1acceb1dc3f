"""Runs, steps and events as JSON texts and back: the form in which every store keeps them."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from pydantic import TypeAdapter

from orchestrator.runs.run import NewRun, Run, RunState, Step

_RUNS: Final = TypeAdapter(Run)
_STEPS: Final = TypeAdapter(Step)


def first_record(new: NewRun, *, created_unix: float) -> Run:
    """A run that was just asked for."""
    return Run(
        name=new.name,
        flow=new.flow,
        state=RunState.QUEUED,
        inputs=new.inputs,
        code=new.code,
        created_unix=created_unix,
        bounds=new.bounds,
    )


def run_from(record: Mapping[str, Any]) -> Run:
    """The run that a record describes; numbers may be texts, and other fields are passed over."""
    return _RUNS.validate_python(record)


def run_record(run: Run) -> dict[str, Any]:
    """What ``run_from`` reads, ready for JSON."""
    record: dict[str, Any] = _RUNS.dump_python(run, mode="json")
    return record


def step_from(text: str | bytes) -> Step:
    """The step that ``step_text`` wrote."""
    return _STEPS.validate_json(text)


def step_text(step: Step) -> str:
    """A step as one line of JSON."""
    # Not asdict, which would copy the state, however large it is.
    return json_text({each.name: getattr(step, each.name) for each in fields(step)})


def json_text(value: object) -> str:
    """JSON on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
