"""What the schema's complaints mean to an operator: pydantic's error → a finding with a remedy."""

import json
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from tiers import fields
from tiers.document import TierMapDocument
from tiers.problems import Finding, choices, quoted

_KINDS = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be a mapping of names to values",
    "model_type": "must be a mapping of keys to values",
}
_RENAMED = {"first_byte": "headers"}
"""Keys of earlier versions → what they are called now."""


def explain(error: ErrorDetails) -> Finding:
    """One complaint of ``TierMapDocument`` in words. The refused value itself is never repeated."""
    path = error["loc"]
    context = error.get("ctx", {})
    match error["type"]:
        case fields.REFUSED:
            return Finding(path=path, message=context["message"], remedy=context["remedy"])
        case "extra_forbidden":
            model, _ = _owner(path[:-1])
            word = str(path[-1])
            return Finding(
                path=path,
                message=f"{quoted(word)} is now called {quoted(_RENAMED[word])}"
                if word in _RENAMED
                else f"unknown key {quoted(word)}",
                remedy=f"write `{_RENAMED[word]}:` instead" if word in _RENAMED else choices(word, _named(model)),
            )
        case "missing":
            message = "is missing"
        case "too_short":
            message = "must not be empty"
        case kind:
            message = _KINDS.get(kind) or error["msg"].replace("Input should", "must").replace("String should", "must")
    return Finding(path=path, message=message, remedy=_example(path))


def _example(path: tuple[str | int, ...]) -> str:
    """How to write the field that the path leads to or lies in."""
    _, found = _owner(path)
    if found is None:
        return "see the reference of the tier map for its form"
    name, info = found
    example = (info.examples or [None])[0]
    text = example if isinstance(example, str) else json.dumps(example)
    return f"for example `{name}: {text}`"


def _owner(path: tuple[str | int, ...]) -> tuple[type[BaseModel], tuple[str, FieldInfo] | None]:
    """The innermost model on the way, and the last field that the way goes through."""
    model: type[BaseModel] = TierMapDocument
    annotation: Any = TierMapDocument
    field: tuple[str, FieldInfo] | None = None
    for step in path:
        if _is_model(annotation):
            model = annotation
            field = str(step), _named(model)[str(step)]
            annotation = _bare(field[1].annotation)
        else:
            annotation = _bare((get_args(annotation) or (None,))[-1])
    return (annotation if _is_model(annotation) else model), field


def _named(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """A model's fields by the names that operators write: one that is a word of Python's has an alias."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def _bare(annotation: Any) -> Any:  # noqa: ANN401 - annotations have no common type
    """The annotation without its ``| None`` and its metadata."""
    arguments = get_args(annotation)
    if type(None) in arguments:
        return _bare(next(argument for argument in arguments if argument is not type(None)))
    return arguments[0] if hasattr(annotation, "__metadata__") else annotation


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
