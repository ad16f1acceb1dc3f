"""Routes that no request can reach, since an earlier one takes every request that they ask for.

A route is unreachable where an earlier one asks for the same or for less. The comparison of patterns is
careful: it says "covers" only where that is certain, so it may miss a shadowed route but never blames a
reachable one.
"""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from tiers.fields import RESPONSE_FORMATS
from tiers.problems import Finding, quoted
from tiers.tiermap import Comparison, Conditions, Route

_TOKENS_MAX = 10**12


def findings(routes: Mapping[int, Route], count: int) -> Iterator[Finding]:
    """What is wrong with the order of the routes.

    Args:
        routes: The routes that could be read, by their index.
        count: How many there are.
    """
    last = routes.get(count - 1)
    if last is not None and not unconditional(last.when):
        yield Finding(
            path=("routes", count - 1),
            message="the last route has a condition, so some requests would match no route",
            remedy="add a last route without `when`, such as {name: default, tier: …}",
        )
    for index, route in routes.items():
        earlier = next((other for i, other in routes.items() if i < index and covers(other.when, route.when)), None)
        if earlier is not None:
            yield Finding(
                path=("routes", index),
                message=f"can never be reached: the route {quoted(earlier.name)} takes all it asks for",
                remedy="move it up, or take it out",
            )
        elif _empty(route.when.prompt_tokens):
            yield Finding(
                path=("routes", index, "when", "prompt_tokens"),
                message="can never be reached: no prompt has fewer than 0 tokens",
                remedy="write another bound, or take the route out",
            )


def unconditional(when: Conditions) -> bool:
    """Whether every request matches."""
    return covers(when, Conditions())


def covers(earlier: Conditions, later: Conditions) -> bool:
    """Whether every request that matches ``later`` certainly matches ``earlier``."""
    return (
        (earlier.tools is None or earlier.tools == later.tools)
        and _covers_numbers(earlier.prompt_tokens, later.prompt_tokens)
        and _formats(earlier.response_format) >= _formats(later.response_format)
        and _covers_texts(earlier.agent, later.agent)
        and _covers_texts(earlier.key, later.key)
        and _covers_texts(earlier.flow, later.flow)
        and _covers_texts(earlier.run, later.run)
    )


def _covers_texts(earlier: tuple[str, ...], later: tuple[str, ...]) -> bool:
    if not earlier:
        return True
    return bool(later) and all(any(_covers_glob(wide, narrow) for wide in earlier) for narrow in later)


def _covers_glob(wide: str, narrow: str) -> bool:
    if wide in {narrow, "*"}:
        return True
    if _prefix(narrow) == narrow:
        return fnmatchcase(narrow, wide)
    prefix = _prefix(wide)
    return wide == f"{prefix}*" and _prefix(narrow).startswith(prefix)


def _prefix(pattern: str) -> str:
    """The part of the pattern before its first special character."""
    end = next((index for index, character in enumerate(pattern) if character in "*?["), len(pattern))
    return pattern[:end]


def _formats(patterns: tuple[str, ...]) -> frozenset[str]:
    wanted = patterns or ("*",)
    return frozenset(form for form in RESPONSE_FORMATS if any(fnmatchcase(form, pattern) for pattern in wanted))


def _covers_numbers(earlier: Comparison | None, later: Comparison | None) -> bool:
    low, high = _interval(earlier)
    later_low, later_high = _interval(later)
    return low <= later_low and later_high <= high


def _empty(comparison: Comparison | None) -> bool:
    low, high = _interval(comparison)
    return low > high


def _interval(comparison: Comparison | None) -> tuple[int, int]:
    """The first and last number of tokens that satisfy the bound."""
    if comparison is None:
        return 0, _TOKENS_MAX
    match comparison.operator:
        case "<":
            return 0, comparison.value - 1
        case "<=":
            return 0, comparison.value
        case ">":
            return comparison.value + 1, _TOKENS_MAX
        case _:
            return comparison.value, _TOKENS_MAX
