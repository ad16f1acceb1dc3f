"""The members of a JSON object, found in its bytes; for bodies that are known to be valid."""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

# Loops are unrolled: an alternation per character takes seconds for the largest bodies.
STRING: Final = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
"""A JSON string, as a regular expression for bytes."""
_KEY: Final = re.compile(rb"\s*(?:,\s*)?(" + STRING + rb")\s*:\s*", re.DOTALL)
_SCALAR: Final = re.compile(STRING + rb"|[^\s,}]+", re.DOTALL)
_NESTED: Final = re.compile(STRING + rb"|[{}\[\]]", re.DOTALL)
_ESCAPED_LETTER: Final = re.compile(rb"\\u00[5-7]")
"""What a key of interest can be hidden behind; JSON writers escape no ASCII letters, so it hardly ever occurs."""


def may_escape_letters(body: bytes) -> bool:
    """Whether a name may stand in ``body`` in other bytes than its own."""
    # Looking for one byte is almost free, and many bodies have no escape at all.
    return body.find(b"\\") >= 0 and body.find(b"\\u00") >= 0 and _ESCAPED_LETTER.search(body) is not None


def top_level_values(body: bytes) -> Iterator[tuple[str, int, int]]:
    """Each member of the JSON object ``body``: its name and where its value starts and stops.

    ``body`` must be known to be a valid JSON object. Escaped names are unescaped.
    """
    at = body.index(b"{") + 1
    while (key := _KEY.match(body, at)) is not None:
        stop = _value_end(body, key.end())
        yield msgspec.json.decode(key[1], type=str), key.end(), stop
        at = stop


def _value_end(body: bytes, start: int) -> int:
    if body[start : start + 1] not in {b"{", b"["}:
        value = _SCALAR.match(body, start)
        return value.end() if value is not None else start
    depth = 0
    for mark in _NESTED.finditer(body, start):
        if mark[0] in {b"{", b"["}:
            depth += 1
        elif mark[0] in {b"}", b"]"}:
            depth -= 1
            if depth == 0:
                return mark.end()
    return len(body)
