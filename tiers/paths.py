"""Where a value stands in the tier map's document: the keys and indices that lead to it."""

from collections.abc import Iterator
from enum import Enum
from typing import Any, Final

Path = tuple[str | int, ...]


class _Any(Enum):
    ANY = "*"


ANY: Final = _Any.ANY
"""In a pattern of ``select``: every key of a mapping, every index of a list."""


def field_name(path: Path) -> str:
    """The path as operators read it: ``tiers.routing.endpoints[0].url``; empty for the whole document."""
    parts = (f"[{step}]" if isinstance(step, int) else f".{_printable(step)}" for step in path)
    return "".join(parts).removeprefix(".")


def select(data: object, *pattern: str | int | _Any) -> Iterator[tuple[Path, Any]]:
    """Every value that the pattern leads to, with its path. Where the document has another shape it yields
    nothing.

    That lets a rule look at what can be read while the schema's complaints cover the rest.
    """
    if not pattern:
        yield (), data
        return
    step, *rest = pattern
    for key, value in _children(data):
        if step is ANY or step == key:
            for path, found in select(value, *rest):
                yield (key, *path), found


def _children(data: object) -> Iterator[tuple[str | int, object]]:
    if isinstance(data, dict):
        yield from data.items()
    elif isinstance(data, list):
        yield from enumerate(data)


def _printable(key: str) -> str:
    return key if key.isprintable() else ascii(key)
