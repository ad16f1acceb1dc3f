"""What is wrong with a tier map, where, and what to do about it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from tiers.paths import Path

NAMES_LISTED_MAX = 20
TEXT_QUOTED_MAX = 80


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One thing to mend before the tier map can be used. Places count from 1; no text holds a secret."""

    file: str
    line: int
    column: int
    field: str
    """The place as operators name it, such as ``tiers.routing.gpu``; empty where it is the whole file."""
    message: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: "
        field = f"{self.field}: " if self.field else ""
        return f"{place}{field}{self.message} — {self.remedy}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A problem whose place is still a path."""

    path: Path
    message: str
    remedy: str


class TierMapInvalid(ValueError):
    """The tier map cannot be used. ``problems`` are all that could be found, sorted by their place."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


class Refused(ValueError):
    """One value cannot be read. ``remedy`` says what to write instead; neither text repeats a secret."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message} — {remedy}")
        self.message = message
        self.remedy = remedy


def quoted(text: str) -> str:
    """The text in double quotes on one line, cut where it is long."""
    cut = text if len(text) <= TEXT_QUOTED_MAX else f"{text[:TEXT_QUOTED_MAX]}…"
    return json.dumps(cut, ensure_ascii=False)


def choices(word: str, known: Iterable[str]) -> str:
    """A remedy for a word that names nothing: what there is, and which of it was probably meant."""
    names = list(known)
    if not names:
        return "there is none to name: add it first, or take this out"
    more = len(names) - NAMES_LISTED_MAX
    listed = ", ".join(names[:NAMES_LISTED_MAX]) + (f" and {more} more" if more > 0 else "")
    close = get_close_matches(word[:TEXT_QUOTED_MAX], names, n=1)
    return f"use one of: {listed}" + (f'; did you mean "{close[0]}"?' if close else "")
