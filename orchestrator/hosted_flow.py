"""A Flow that is hosted: its class, what it can be asked with, and the fingerprint of its code."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crewai.flow.flow import Flow
from pydantic import BaseModel

from orchestrator.errors import FlowUnusable
from orchestrator.flow import FlowClass, load_flow, make_flow
from orchestrator.inputs import check_inputs
from orchestrator.runs.fingerprint import fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedFlow:
    """One Flow's class with what its runs are asked with; ``code`` is the fingerprint of its code.

    ``sample`` is a Flow of that class that never runs: inputs are held against its state. Making one for each request
    would cost a millisecond, and CrewAI keeps a Flow that was made and never run.
    """

    flow_class: FlowClass
    code: str
    sample: Flow[Any]

    @classmethod
    def load(cls, target: str) -> "HostedFlow":
        """The Flow that ``target`` names. Raises ``FlowUnusable`` where it names none that can be made."""
        flow_class = load_flow(target)
        return cls(flow_class=flow_class, code=fingerprint(flow_class), sample=make_flow(flow_class))

    @property
    def name(self) -> str:
        """Its class's name, which is its path."""
        return self.flow_class.__name__

    def check(self, inputs: Mapping[str, object]) -> None:
        """Raise ``InputsRefused`` unless the Flow's state takes ``inputs``."""
        check_inputs(self.sample, inputs)

    def inputs_schema(self) -> dict[str, Any]:
        """The JSON schema of what it can be asked with; an untyped state takes anything."""
        state = self.sample.state
        if not isinstance(state, BaseModel):
            return {"type": "object"}
        schema = type(state).model_json_schema()
        # A run's name becomes the state's id.
        schema.get("properties", {}).pop("id", None)
        return schema


def load_flows(targets: tuple[str, ...]) -> dict[str, HostedFlow]:
    """The Flows that ``targets`` name, by their names. Raises ``FlowUnusable``, also where two have one name."""
    flows: dict[str, HostedFlow] = {}
    for target in targets:
        flow = HostedFlow.load(target)
        if flow.name in flows:
            raise FlowUnusable(f"{target}: another Flow is named {flow.name} already. Rename one: it is their path.")
        flows[flow.name] = flow
    return flows
