"""A value that a JSON schema allows: what constrained decoding yields, without a model."""

from collections.abc import Mapping
from random import Random
from typing import Any

_DEPTH_MAX = 8
_WORDS = ("warm", "cold", "exact", "bounded", "steady")


def schema_value(
    schema: Mapping[str, Any], random: Random, root: Mapping[str, Any] | None = None, depth: int = 0
) -> Any:  # noqa: ANN401 - any JSON value
    """One value for ``schema``; of alternatives the first, of enumerations any."""
    root = schema if root is None else root
    if depth > _DEPTH_MAX:
        return None
    if (other := _stands_for(schema, root)) is not None:
        return schema_value(other, random, root, depth + 1)
    if allowed := [schema["const"]] if "const" in schema else schema.get("enum"):
        return random.choice(allowed)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    match kind:
        case "object":
            properties = schema.get("properties", {})
            return {name: schema_value(part, random, root, depth + 1) for name, part in properties.items()}
        case "array":
            count = max(1, int(schema.get("minItems", 1)))
            return [schema_value(schema.get("items", {}), random, root, depth + 1) for _ in range(count)]
        case _:
            return _plain(str(kind), schema, random)


def _stands_for(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema that this one refers to, or the first of its alternatives."""
    if reference := schema.get("$ref"):
        return _resolve(root, str(reference))
    alternatives = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    first: Mapping[str, Any] | None = alternatives[0] if alternatives else None
    return first


def _plain(kind: str, schema: Mapping[str, Any], random: Random) -> object:
    least = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    match kind:
        case "integer":
            return int(least) + 1
        case "number":
            return float(least) + 0.5
        case "boolean":
            return random.random() < 0.5  # noqa: PLR2004 - a coin
        case "null":
            return None
        case _:
            word = random.choice(_WORDS)
            return word.ljust(int(schema.get("minLength", 0)), "x")[: int(schema.get("maxLength", 1000))]


def _resolve(root: Mapping[str, Any], reference: str) -> Mapping[str, Any]:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found.get(part, {}) if isinstance(found, Mapping) else {}
    return found if isinstance(found, Mapping) else {}
