"""Runpod's own OpenAPI document, where it is at hand, as a judge of requests and answers."""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from jsonschema import Draft202012Validator, FormatChecker

FILE = Path(__file__).parents[4].parent / "shared" / "data" / "runpod-rest-v2.openapi.json"
needs_document = pytest.mark.skipif(
    not FILE.exists(), reason=f"Runpod's OpenAPI document is not at hand: ../shared/data/{FILE.name}"
)
NOT_IN_IT = ("/v2/secrets", "/v1/")
"""Paths of the emulator that the document does not have."""
_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("date-time", raises=ValueError)
def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@_FORMATS.checks("uri")
def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or bool(urlsplit(value).scheme and urlsplit(value).netloc)


class Document:
    """The document. Its methods raise ``AssertionError`` where something is not as it says."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = content

    def check_request(self, method: str, path: str, query: str, body: bytes) -> None:
        """Whether a request that was accepted is one that the document allows."""
        operation, item = self._operation(method, path)
        if "requestBody" in operation:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            self.check(json.loads(body), schema, f"request {method} {path}")
        known = {parameter["name"]: parameter for parameter in self._parameters(operation, item)}
        for name, text in parse_qsl(query):
            if name in known:
                value = _parsed(text, self._resolved(known[name]["schema"]))
                self.check(value, known[name]["schema"], f"query {name} of {method} {path}")

    def allows_body(self, method: str, path: str, body: object) -> bool:
        """Whether the document's schema alone would let a body through."""
        operation, _ = self._operation(method, path)
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        return self._validator(schema).is_valid(body)

    def check_answer(self, method: str, path: str, status: int, content_type: str, body: bytes) -> None:
        """Whether an answer is one that the document describes."""
        operation, _ = self._operation(method, path)
        described = operation["responses"].get(str(status), operation["responses"].get("default"))
        assert described is not None, f"{method} {path} has no answer {status}"
        content = self._resolved(described).get("content", {})
        if not content:
            assert body == b"", f"{method} {path} → {status} has a body"
            return
        media_type = content_type.partition(";")[0]
        assert media_type in content, f"{method} {path} → {status} is {media_type}"
        if media_type.endswith("json"):
            self.check(json.loads(body), content[media_type]["schema"], f"answer {status} of {method} {path}")

    def check(self, value: object, schema: Mapping[str, Any], what: str) -> None:
        """Whether a value fits a schema of the document."""
        errors = [error.message for error in self._validator(schema).iter_errors(value)]
        assert not errors, f"{what}: {errors}\n{value}"

    def operations(self) -> set[tuple[str, str]]:
        """Every method and path."""
        paths = self._content["paths"].items()
        return {(method.upper(), path) for path, item in paths for method in item if method != "parameters"}

    def schema(self, name: str) -> Mapping[str, Any]:
        """A schema by its name."""
        return {"$ref": f"#/components/schemas/{name}"}

    def _validator(self, schema: Mapping[str, Any]) -> Draft202012Validator:
        return Draft202012Validator({**schema, "components": self._content["components"]}, format_checker=_FORMATS)

    def _operation(self, method: str, path: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        parts = path.split("/")
        fitting = [
            (template, item)
            for template, item in self._content["paths"].items()
            if len(template.split("/")) == len(parts)
            and all(one == two or one.startswith("{") for one, two in zip(template.split("/"), parts, strict=True))
        ]
        assert fitting, f"the document has no path {path}"
        item = min(fitting, key=lambda found: found[0].count("{"))[1]
        assert method.lower() in item, f"the document has no {method} {path}"
        return item[method.lower()], item

    def _parameters(self, operation: Mapping[str, Any], item: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        both = [*item.get("parameters", []), *operation.get("parameters", [])]
        return [self._resolved(parameter) for parameter in both]

    def _resolved(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        if "$ref" not in part:
            return part
        found: Any = self._content
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        resolved: Mapping[str, Any] = found
        return resolved


@cache
def document() -> Document:
    """The document; only where ``FILE`` is there."""
    return Document(json.loads(FILE.read_text(encoding="utf-8")))


def _parsed(text: str, schema: Mapping[str, Any]) -> object:
    match schema.get("type"):
        case "integer":
            return int(text)
        case "boolean":
            return {"true": True, "false": False}[text]
        case "array":
            return text.split(",")
        case _:
            return text
