"""Inputs of a run, held against the typed state of its Flow before any agent starts."""

from collections.abc import Mapping
from typing import Any

from crewai.flow.flow import Flow
from pydantic import BaseModel, ValidationError

from orchestrator.errors import InputProblem, InputsRefused


def check_inputs(flow: Flow[Any], inputs: Mapping[str, object]) -> None:
    """Raise ``InputsRefused`` unless ``inputs`` fit the Flow's typed state.

    CrewAI would drop a name that the state does not have without a word; here it is refused. The values are
    checked as CrewAI applies them: over the state's defaults, in pydantic's lax mode. An untyped state takes
    anything.
    """
    state = flow.state
    if not isinstance(state, BaseModel):
        return
    model = type(state)
    problems = []
    if model.model_config.get("extra") != "allow":
        known = [name for name in model.model_fields if name != "id"]
        problems += [
            InputProblem(field=name, reason=f"the state has no such field; it has {', '.join(known)}")
            for name in inputs
            if name not in known
        ]
    try:
        model.model_validate({**state.model_dump(), **inputs})
    except ValidationError as error:
        problems += [
            InputProblem(field=".".join(map(str, each["loc"])) or "state", reason=each["msg"])
            for each in error.errors()
        ]
    if problems:
        raise InputsRefused(type(flow).__name__, tuple(problems))
