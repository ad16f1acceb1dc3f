"""Values of Python as JSON and back: what steps return, and a Flow's state.

What JSON has itself stands for itself. Everything else is an object with ``$``, which says what it is:

    {"$": "datetime", "v": …}                        a value of one of Python's own types
    {"$": "model", "of": "module:Class", "v": {…}}    a pydantic model, by its fields; also CrewAI's outputs
    {"$": "dataclass", "of": …, "v": {…}}, {"$": "namedtuple", "of": …, "v": […]}, {"$": "enum", "of": …, "v": "NAME"}

Reading back imports no module but those of the packages that are named, and calls nothing of a class: no
constructor, no validator. What is no value (an agent, a client, a function, a secret) is refused when it is written.
"""

import dataclasses
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from typing import Any, Final

from crewai import BaseLLM, Crew, Task
from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.flow.flow import Flow
from crewai.tools import BaseTool
from pydantic import BaseModel, JsonValue, SecretBytes, SecretStr
from pydantic_core import PydanticUndefined

from orchestrator.errors import ValueNotKept
from orchestrator.runs.builtin_values import BUILTINS, BUILTINS_BY_NAME
from orchestrator.runs.classes import class_named, name_of

DEPTH_MAX: Final = 100
"""Levels of nesting that are kept."""

_ATTEMPTS_MAX = 20
_ACTORS = (BaseLLM, BaseAgent, Crew, Task, Flow, BaseTool)


def written(value: object, *, where: str) -> JsonValue:
    """``value`` as JSON; ``where`` is its name in messages.

    Raises:
        ValueNotKept: Something in it cannot be kept; the message names its place in ``where``.
    """
    return _steady(lambda: _Writer(where).write(value))


def written_state(state: object, *, where: str) -> JsonValue:
    """A Flow's state as JSON: its fields, since CrewAI makes a class of its own for each Flow's state.

    Private attributes of the state's model are not kept. Raises ``ValueNotKept`` as ``written`` does.
    """
    if isinstance(state, BaseModel):
        return _steady(lambda: _Writer(where).fields(_fields(state)))
    return written(state, where=where)


def read(kept: JsonValue, *, packages: Collection[str] = ()) -> Any:  # noqa: ANN401 - whatever was written
    """The value that ``written`` wrote; classes come from modules that are loaded, or belong to ``packages``.

    Raises:
        ValueNotKept: A class is not there any more, or has become something else.
    """
    if isinstance(kept, list):
        return [read(item, packages=packages) for item in kept]
    if not isinstance(kept, dict):
        return kept
    kind = kept.get("$")
    if kind is None:
        return {name: read(item, packages=packages) for name, item in kept.items()}
    if kind in _OF_CLASSES:
        found = class_named(str(kept["of"]), packages)
        return _OF_CLASSES[str(kind)](found, kept["v"], packages)
    if kind == "dict":
        pairs: Any = kept["v"]
        return {read(key, packages=packages): read(item, packages=packages) for key, item in pairs}
    builtin = BUILTINS_BY_NAME.get(str(kind))
    if builtin is None:
        raise ValueNotKept(f"a kept value is a {kind!r}, which this version does not know")
    return builtin.read(read(kept["v"], packages=packages))


def restored_state(state: Any, kept: JsonValue, *, packages: Collection[str] = ()) -> Any:  # noqa: ANN401 - as the Flow's
    """A fresh Flow's ``state`` with what ``written_state`` kept in its place; a dictionary is changed in place."""
    values = read(kept, packages=packages)
    if isinstance(state, BaseModel):
        return state.model_copy(update=values)
    state.clear()
    state.update(values)
    return state


class _Writer:
    """Writes one value, and knows where in it it is."""

    def __init__(self, where: str) -> None:
        self._path = [where]
        self._open: set[int] = set()

    def write(self, value: object) -> JsonValue:
        if value is None or (isinstance(value, bool | int | str) and type(value) in {bool, int, str}):
            return value
        if type(value) is float and math.isfinite(value):
            return value
        with self._within(value):
            return self._composed(value)

    def fields(self, values: Mapping[str, object]) -> dict[str, JsonValue]:
        written: dict[str, JsonValue] = {}
        for name, item in values.items():
            self._path.append(f".{name}")
            written[name] = self.write(item)
            self._path.pop()
        return written

    def _composed(self, value: object) -> JsonValue:
        if type(value) is list:
            return self._items(value)
        if type(value) is dict:
            return self._dict(value)
        builtin = BUILTINS.get(type(value))
        if builtin is not None:
            return {"$": builtin.name, "v": self.write(builtin.write(value))}
        return self._of_class(value)

    def _of_class(self, value: object) -> JsonValue:
        kept: JsonValue
        if isinstance(value, Enum):
            kind, kept = "enum", value.name
        elif isinstance(value, BaseModel) and not isinstance(value, _ACTORS):
            set_: list[JsonValue] = [*sorted(value.model_fields_set)]
            kind, kept = "model", {"set": set_, "fields": self.fields(_fields(value))}
        elif isinstance(value, tuple) and hasattr(value, "_fields"):
            kind, kept = "namedtuple", self._items(list(value))
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            kind = "dataclass"
            kept = self.fields({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
        else:
            raise self._refusal(value)
        return {"$": kind, "of": self._class(value), "v": kept}

    def _items(self, values: list[object]) -> JsonValue:
        written: list[JsonValue] = []
        for number, item in enumerate(values):
            self._path.append(f"[{number}]")
            written.append(self.write(item))
            self._path.pop()
        return written

    def _dict(self, values: dict[object, object]) -> JsonValue:
        if all(type(key) is str for key in values) and "$" not in values:
            return self.fields({str(key): item for key, item in values.items()})
        pairs: list[JsonValue] = []
        for key, item in values.items():
            self._path.append(f"[{key!r}]")
            pairs.append([self.write(key), self.write(item)])
            self._path.pop()
        return {"$": "dict", "v": pairs}

    def _class(self, value: object) -> str:
        name = name_of(type(value))
        if name is None:
            raise ValueNotKept(
                f"{self._here} is a {type(value).__qualname__}, a class that cannot be found by its name: "
                "define it at the top of a module."
            )
        return name

    def _refusal(self, value: object) -> ValueNotKept:
        if isinstance(value, SecretStr | SecretBytes):
            return ValueNotKept(f"{self._here} is a secret, and secrets are not kept: read it where it is used.")
        kind = type(value)
        return ValueNotKept(
            f"{self._here} is a {kind.__module__}.{kind.__qualname__}, which cannot be kept: return or store values "
            "(pydantic models, dataclasses, enums, Python's own types), and make the rest anew in each step."
        )

    @contextmanager
    def _within(self, value: object) -> Iterator[None]:
        if id(value) in self._open:
            raise ValueNotKept(f"{self._here} holds itself, which cannot be kept.")
        if len(self._open) >= DEPTH_MAX:
            raise ValueNotKept(f"{self._here} is nested deeper than {DEPTH_MAX} levels, which cannot be kept.")
        self._open.add(id(value))
        try:
            yield
        finally:
            self._open.discard(id(value))

    @property
    def _here(self) -> str:
        return "".join(self._path)


def _fields(model: BaseModel) -> dict[str, object]:
    return {**model.__dict__, **(model.__pydantic_extra__ or {})}


def _steady(write: Callable[[], JsonValue]) -> JsonValue:
    """What ``write`` gives; again where a step in another thread changed a dictionary while it was read."""
    for _ in range(_ATTEMPTS_MAX):
        try:
            return write()
        except RuntimeError as error:
            if "changed size during iteration" not in str(error):
                raise
    return write()


def _read_model(found: type, kept: Any, packages: Collection[str]) -> BaseModel:  # noqa: ANN401 - JSON
    if not issubclass(found, BaseModel) or issubclass(found, _ACTORS):
        raise ValueNotKept(f"{found.__qualname__} is no pydantic model of values any more")
    values = {name: read(item, packages=packages) for name, item in kept["fields"].items()}
    extra = {name: values.pop(name) for name in list(values) if name not in found.model_fields}
    defaults = {name: each.get_default() for name, each in found.__private_attributes__.items()}
    private = {name: value for name, value in defaults.items() if value is not PydanticUndefined}
    model = found.__new__(found)
    # What pickle does: no validator and no constructor runs.
    model.__setstate__(
        {
            "__dict__": values,
            "__pydantic_extra__": extra if found.model_config.get("extra") == "allow" else None,
            "__pydantic_fields_set__": set(kept["set"]),
            "__pydantic_private__": private if defaults else None,
        }
    )
    return model


def _read_dataclass(found: type, kept: Any, packages: Collection[str]) -> object:  # noqa: ANN401 - JSON
    if not dataclasses.is_dataclass(found):
        raise ValueNotKept(f"{found.__qualname__} is no dataclass any more")
    value: object = object.__new__(found)
    for name, item in kept.items():
        object.__setattr__(value, name, read(item, packages=packages))
    return value


def _read_namedtuple(found: type, kept: Any, packages: Collection[str]) -> object:  # noqa: ANN401 - JSON
    if not (issubclass(found, tuple) and hasattr(found, "_fields")):
        raise ValueNotKept(f"{found.__qualname__} is no named tuple any more")
    return tuple.__new__(found, read(kept, packages=packages))


def _read_enum(found: type, kept: Any, _packages: Collection[str]) -> object:  # noqa: ANN401 - JSON
    if not issubclass(found, Enum):
        raise ValueNotKept(f"{found.__qualname__} is no enum any more")
    if kept not in found.__members__:
        raise ValueNotKept(f"{found.__qualname__} has no member {kept!r} any more")
    return found[kept]


_OF_CLASSES: Final[Mapping[str, Callable[[type, Any, Collection[str]], object]]] = {
    "model": _read_model,
    "dataclass": _read_dataclass,
    "namedtuple": _read_namedtuple,
    "enum": _read_enum,
}
