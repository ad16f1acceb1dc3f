"""What changed between two states as JSON, so that the change can be made again on a third.

Steps that run side by side change one state, and each is kept by itself. So a change says what a step did rather than
what came of it: what it added to a list or a set, by how much it raised a number that another step had changed too.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import JsonValue

_MAPPINGS: Final = {None, "model", "dataclass"}
"""Kinds of objects (``values.py``) that are looked into; others are a value as a whole."""


@dataclass(frozen=True, slots=True)
class Change:
    """At ``path``: ``value`` is ``set``, or ``append``-ed to a list, or its members join a set; or ``remove`` it.

    ``old`` is the number that was there before, or the members that leave a set.
    """

    kind: Literal["set", "remove", "append", "members", "number"]
    path: tuple[str | int, ...]
    value: Any = None
    old: Any = None


def changes_between(old: JsonValue, new: JsonValue, path: tuple[str | int, ...] = ()) -> Iterator[Change]:
    """What turns ``old`` into ``new``."""
    if _same(old, new):
        return
    if isinstance(old, dict) and isinstance(new, dict) and _kind(old) == _kind(new):
        yield from _in_objects(old, new, path)
    elif isinstance(old, list) and isinstance(new, list) and len(old) <= len(new):
        yield from _in_lists(old, new, path)
    elif _are_numbers(old, new):
        yield Change("number", path, new, old)
    else:
        yield Change("set", path, new)


def changed(state: JsonValue, changes: Sequence[Change]) -> JsonValue:
    """``state`` with the changes made again; it is not changed itself."""
    holder: dict[str | int, Any] = {"": deepcopy(state)}
    for change in changes:
        _make(holder, change)
    return holder[""]  # type: ignore[no-any-return]


def _same(one: JsonValue, other: JsonValue) -> bool:
    """Whether they are equal in JSON, where 1, 1.0 and true are not."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other


def _kind(value: dict[str, JsonValue]) -> tuple[object, object]:
    return value.get("$"), value.get("of")


def _are_numbers(one: JsonValue, other: JsonValue) -> bool:
    return type(one) is type(other) and type(one) in {int, float}


def _in_objects(old: dict[str, JsonValue], new: dict[str, JsonValue], path: tuple[str | int, ...]) -> Iterator[Change]:
    before, after = old.get("v"), new.get("v")
    if old.get("$") == "set" and isinstance(before, list) and isinstance(after, list):
        gone = [member for member in before if member not in after]
        yield Change("members", path, [member for member in after if member not in before], gone)
    elif old.get("$") not in _MAPPINGS:
        yield Change("set", path, new)
    else:
        for name in old.keys() | new.keys():
            if name not in new:
                yield Change("remove", (*path, name))
            elif name not in old:
                yield Change("set", (*path, name), new[name])
            else:
                yield from changes_between(old[name], new[name], (*path, name))


def _in_lists(old: list[JsonValue], new: list[JsonValue], path: tuple[str | int, ...]) -> Iterator[Change]:
    if _same(new[: len(old)], old):
        yield Change("append", path, new[len(old) :])
    elif len(old) == len(new):
        for number, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from changes_between(before, after, (*path, number))
    else:
        yield Change("set", path, new)


def _make(holder: dict[str | int, Any], change: Change) -> None:
    place: Any = holder
    names: list[str | int] = ["", *change.path]
    last = names.pop()
    for name in names:
        inside = name in place if isinstance(place, dict) else isinstance(name, int) and name < len(place)
        if not inside or not isinstance(place[name], dict | list):
            return  # what it was in is not there: another step made it, which is not kept yet
        place = place[name]
    if isinstance(place, list) and isinstance(last, int) and last >= len(place):
        place.append(change.value)
        return
    current = place.get(last) if isinstance(place, dict) else place[last]
    if change.kind == "remove":
        place.pop(last, None)
    elif change.kind == "append" and isinstance(current, list):
        current.extend(change.value)
    elif change.kind == "members":
        there = current["v"] if isinstance(current, dict) and current.get("$") == "set" else []
        left = [member for member in there if member not in change.old]
        place[last] = {"$": "set", "v": left + [member for member in change.value if member not in left]}
    elif change.kind == "number" and _are_numbers(current, change.old) and current != change.old:
        place[last] = current + change.value - change.old
    else:
        place[last] = change.value
