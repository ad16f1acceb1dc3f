"""Values that schemas allow."""

from random import Random
from typing import Any

import jsonschema
import pytest

from deploy.emulator.engines.schema_value import schema_value

SCHEMAS: list[dict[str, Any]] = [
    {
        "type": "object",
        "properties": {"tier": {"enum": ["small", "large"]}, "why": {"type": "string"}},
        "required": ["tier", "why"],
    },
    {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 3}, "x": {"type": "number", "exclusiveMinimum": 2}},
    },
    {"type": "array", "items": {"type": "boolean"}, "minItems": 3},
    {"type": "array"},
    {"anyOf": [{"type": "null"}, {"type": "string"}]},
    {"type": ["string", "null"], "minLength": 9, "maxLength": 12},
    {"const": 7},
    {
        "$defs": {"p": {"type": "object", "properties": {"q": {"type": "integer"}}, "required": ["q"]}},
        "$ref": "#/$defs/p",
    },
    {"properties": {"a": {"type": "object"}}, "required": ["a"]},
    {},
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_value_is_one_that_its_schema_allows(schema: dict[str, Any]) -> None:
    jsonschema.validate(schema_value(schema, Random(1)), schema)


def test_a_schema_that_refers_to_itself_ends() -> None:
    schema = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    assert "next" in schema_value(schema, Random(1))


def test_a_reference_to_nothing_allows_anything() -> None:
    assert isinstance(schema_value({"$ref": "#/a/b/c", "a": {"b": 1}}, Random(1)), str)
