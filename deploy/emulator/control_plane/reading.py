"""A request's body, read into its shape, with each thing that is wrong in the words of Runpod's schema validator."""

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request

from deploy.emulator.control_plane.problems import Problem, bad_request, unprocessable

BODY_BYTES_MAX = 17 << 20
"""A secret may have 16 MiB; nothing else comes near it."""
_NAMES = {
    "string": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
    "model": "object",
}
_VARIANTS = {"QUEUE_DELAY", "REQUEST_COUNT"}
_WORDS: dict[str, Callable[[Any, dict[str, Any]], str]] = {
    "union_tag_not_found": lambda _, __: "missing property 'type'",
    "union_tag_invalid": lambda _, limits: f"value must be one of {limits['expected_tags']}",
    "greater_than_equal": lambda got, limits: f"minimum: got {got}, want {limits['ge']}",
    "less_than_equal": lambda got, limits: f"maximum: got {got}, want {limits['le']}",
    "string_too_short": lambda got, limits: f"minLength: got {len(got)}, want {limits['min_length']}",
    "string_too_long": lambda got, limits: f"maxLength: got {len(got)}, want {limits['max_length']}",
    "too_short": lambda got, limits: f"minItems: got {len(got)}, want {limits['min_length']}",
    "string_pattern_mismatch": lambda got, limits: f"{got!r} does not match pattern '{limits['pattern']}'",
    "literal_error": lambda _, limits: f"value must be one of {limits['expected'].replace(' or ', ', ')}",
}
"""Kind of error → what is said of the value that was sent and the limits that it broke."""
Shape = TypeVar("Shape", bound=BaseModel)


async def read_body(request: Request, shape: type[Shape]) -> Shape:
    """The request's body as ``shape``.

    Raises:
        Problem: It is too long (413), not JSON (400), or not of that shape (422).
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise Problem(413, "request body too large")
    try:
        json.loads(body)
    except ValueError as error:
        raise bad_request("request body is not valid JSON") from error
    return validated(bytes(body), shape)


def validated(body: bytes, shape: type[Shape]) -> Shape:
    """JSON as ``shape``.

    Raises:
        Problem: 422, with one line for each thing that is wrong.
    """
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        raise unprocessable(*_lines(error)) from error


def _lines(error: ValidationError) -> list[str]:
    lines: list[str] = []
    for details in error.errors(include_url=False):
        place = [part for part in details["loc"] if part not in _VARIANTS]
        if "scaling" in place and "'oneOf' failed" not in " ".join(lines):
            lines.append("$.scaling: 'oneOf' failed, none matched")
        lines.append(_line(details, place))
    return lines


def _line(details: ErrorDetails, place: list[int | str]) -> str:
    kind = details["type"]
    if kind in {"missing", "extra_forbidden"}:
        *parents, name = place
        said = f"missing property '{name}'" if kind == "missing" else f"additional properties '{name}' not allowed"
        return f"{_path(parents)}: {said}"
    return f"{_path(place)}: {_said(kind, details)}"


def _said(kind: str, details: ErrorDetails) -> str:
    if match := re.fullmatch(r"(\w+?)_(?:type|from_float)", kind):
        return f"got {_json_type(details['input'])}, want {_NAMES.get(match[1], match[1])}"
    say = _WORDS.get(kind)
    if say is None:
        return details["msg"].removeprefix("Value error, ")
    return say(details["input"], details.get("ctx", {}))


def _path(place: list[int | str]) -> str:
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)


def _json_type(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    names = {int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "object")
