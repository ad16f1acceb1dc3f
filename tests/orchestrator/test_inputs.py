# ruff: noqa: D101, D102 - the Flows and models here are test data
"""Inputs are held against the Flow's typed state as CrewAI will apply them, before anything runs."""

from typing import Any

import pytest
from crewai.flow.flow import Flow, start
from pydantic import BaseModel, ConfigDict, Field, model_validator

from orchestrator.errors import InputsRefused
from orchestrator.inputs import check_inputs


class Address(BaseModel):
    zip_code: int = 0


class State(BaseModel):
    name: str = "Ada"
    age: int = Field(default=1, ge=0)
    address: Address = Address()


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Pair(BaseModel):
    low: int = 0
    high: int = 1

    @model_validator(mode="after")
    def ordered(self) -> "Pair":
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


class TypedFlow(Flow[State]):
    _skip_auto_memory = True

    @start()
    def begin(self) -> None:
        """Never run here."""


class OpenFlow(TypedFlow):
    initial_state: Any = Open()


class PairFlow(TypedFlow):
    initial_state: Any = Pair()


class UntypedFlow(TypedFlow):
    initial_state: Any = {}  # noqa: RUF012 - CrewAI copies it


@pytest.mark.parametrize(
    ("flow", "inputs"),
    [
        (TypedFlow, {}),
        (TypedFlow, {"name": "Grace", "age": "45", "address": {"zip_code": "10115"}}),
        (PairFlow, {"low": 1, "high": 2}),
        (UntypedFlow, {"anything": object()}),
        (OpenFlow, {"anything": 1}),
    ],
)
def test_what_fits_passes(flow: type[Flow[Any]], inputs: dict[str, object]) -> None:
    check_inputs(flow(), inputs)


@pytest.mark.parametrize(
    ("flow", "inputs", "fields"),
    [
        (TypedFlow, {"age": -1}, ["age"]),
        (TypedFlow, {"address": {"zip_code": "x"}}, ["address.zip_code"]),
        (TypedFlow, {"nmae": "typo", "age": "x"}, ["nmae", "age"]),
        (TypedFlow, {"id": "mine"}, ["id"]),
        (PairFlow, {"low": 5}, ["state"]),
    ],
)
def test_what_does_not_fit_is_named_by_field(
    flow: type[Flow[Any]], inputs: dict[str, object], fields: list[str]
) -> None:
    with pytest.raises(InputsRefused) as refused:
        check_inputs(flow(), inputs)
    assert [problem.field for problem in refused.value.problems] == fields
