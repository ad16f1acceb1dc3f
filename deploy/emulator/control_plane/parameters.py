"""Query parameters, read strictly: those that are known and malformed are 422; those that are not known are ignored."""

import re
from collections.abc import Collection

from starlette.datastructures import QueryParams

from deploy.emulator.control_plane.moments import seconds_of
from deploy.emulator.control_plane.problems import unprocessable


def integer(query: QueryParams, name: str, *, least: int, most: int | None = None) -> int | None:
    """A whole number within bounds; ``None`` where it is left out.

    Raises:
        Problem: 422, it is no such number.
    """
    text = query.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"-?\d{1,18}", text):
        raise unprocessable(f"query.{name}: got string, want integer")
    number = int(text)
    if number < least:
        raise unprocessable(f"query.{name}: minimum: got {number}, want {least}")
    if most is not None and number > most:
        raise unprocessable(f"query.{name}: maximum: got {number}, want {most}")
    return number


def word(query: QueryParams, name: str, known: Collection[str]) -> str | None:
    """One of the ``known`` words; ``None`` where it is left out.

    Raises:
        Problem: 422, it is another word.
    """
    text = query.get(name)
    if text is not None and text not in known:
        raise unprocessable(f"query.{name}: value must be one of {', '.join(map(repr, known))}")
    return text


def words(query: QueryParams, name: str, known: Collection[str]) -> tuple[str, ...] | None:
    """Comma-separated words, all ``known``; ``None`` where they are left out.

    Raises:
        Problem: 422, one is not known.
    """
    text = query.get(name)
    if text is None:
        return None
    found = tuple(text.split(","))
    for index, one in enumerate(found):
        if one not in known:
            raise unprocessable(f"query.{name}[{index}]: value must be one of {', '.join(map(repr, known))}")
    return found


def matching(query: QueryParams, name: str, pattern: str, *, several: bool = True) -> tuple[str, ...] | None:
    """Comma-separated texts that all match ``pattern``; ``None`` where they are left out.

    Raises:
        Problem: 422, one does not match.
    """
    text = query.get(name)
    if text is None:
        return None
    found = tuple(text.split(",")) if several else (text,)
    for index, one in enumerate(found):
        if not re.search(pattern, one):
            place = f"query.{name}[{index}]" if several else f"query.{name}"
            raise unprocessable(f"{place}: {one!r} does not match pattern '{pattern}'")
    return found


def moment(text: str | None, name: str) -> float | None:
    """A moment in RFC 3339; ``None`` where it is left out.

    Raises:
        Problem: 422, it is none.
    """
    if text is None:
        return None
    try:
        return seconds_of(text)
    except ValueError as error:
        raise unprocessable(f"query.{name}: {text!r} is not valid date-time") from error
