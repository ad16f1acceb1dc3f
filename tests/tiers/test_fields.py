from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tiers import fields
from tiers.gpus import catalogue


def read(kind: Any, value: object) -> object:  # noqa: ANN401 - an annotation
    return TypeAdapter(kind).validate_python(value)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (fields.GpuName, "rtx4090", catalogue()["RTX 4090"]),
        (fields.ModelName, "org/model:tag@1", "org/model:tag@1"),
        (fields.Patterns, "a", ("a",)),
        (fields.Patterns, ["a", "b-*"], ("a", "b-*")),
        (fields.ResponseFormats, "json_*", ("json_*",)),
        (fields.Globs, ["a", "b-*"], ("a", "b-*")),
        (fields.Percentages, ["80%", "50%"], (50, 80)),
        (fields.Percentages, "80%", (80,)),
        (fields.Price, 1, 1_000_000),
        (fields.Price, Decimal("0.15"), 150_000),
    ],
)
def test_values_become_the_domains(kind: object, value: object, expected: object) -> None:
    assert read(kind, value) == expected


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (fields.GpuName, "RTX 4099"),
        (fields.GpuName, 4090),
        (fields.ModelName, ""),
        (fields.ModelName, "two words"),
        (fields.ModelName, "x" * 201),
        (fields.ModelName, "mödel"),
        (fields.Patterns, []),
        (fields.Patterns, ""),
        (fields.Patterns, [1]),
        (fields.Patterns, {"a": 1}),
        (fields.Globs, "a"),
        (fields.Globs, []),
        (fields.Percentages, []),
        (fields.Percentages, ["80%", "80 %"]),
        (fields.Percentages, [80]),
        (fields.Percentages, "half"),
        (fields.ResponseFormats, "xml"),
        (fields.Price, True),
        (fields.Price, "0.15"),
        (fields.Price, -1),
    ],
)
def test_other_values_are_refused(kind: object, value: object) -> None:
    with pytest.raises(ValidationError):
        read(kind, value)
