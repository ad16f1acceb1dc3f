"""Names that point at other parts of the tier map: each must lead somewhere."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from tiers.paths import ANY, Path, select
from tiers.problems import Finding, choices, quoted

_TIER_NAMES = (
    ("tiers", ANY, "fallback", ANY),
    ("tiers", ANY, "escalation", ANY),
    ("tiers", ANY, "downgrade"),
    ("routes", ANY, "tier"),
    ("keys", ANY, "tiers", ANY),
)
_TIER_GLOBS = (("budgets", ANY, "owner", "tier"), ("limits", ANY, "owner", "tier"))


def findings(data: object) -> Iterator[Finding]:
    """Every reference that leads nowhere, and every tier that leads to itself or twice to the same.

    Keys that budgets and routes name need not be in the map: they may be made while it is served.
    """
    tiers = [str(path[-1]) for path, _ in select(data, "tiers", ANY)]
    for path, name in _texts(data, _TIER_NAMES):
        if name not in tiers:
            yield Finding(path=path, message=f"no tier is called {quoted(name)}", remedy=choices(name, tiers))
    for path, glob in _texts(data, _TIER_GLOBS):
        if not any(fnmatchcase(name, glob) for name in tiers):
            yield Finding(path=path, message=f"no tier is called {quoted(glob)}", remedy=choices(glob, tiers))
    yield from _successors(data, "fallback", "falls back")
    yield from _successors(data, "escalation", "escalates")
    for path, name in select(data, "tiers", ANY, "downgrade"):
        if name == path[1]:
            yield Finding(path=path, message="the tier is downgraded to itself", remedy="take it out")


def _successors(data: object, field: str, verb: str) -> Iterator[Finding]:
    for path, names in select(data, "tiers", ANY, field):
        if not isinstance(names, list):
            continue
        for index, name in enumerate(names):
            if name == path[1]:
                yield Finding(path=(*path, index), message=f"the tier {verb} to itself", remedy="take it out")
            elif name in names[:index]:
                yield Finding(path=(*path, index), message=f"{quoted(str(name))} is there twice", remedy="keep one")


def _texts(data: object, patterns: Sequence[tuple[Any, ...]]) -> Iterator[tuple[Path, str]]:
    for pattern in patterns:
        yield from ((path, value) for path, value in select(data, *pattern) if isinstance(value, str))
