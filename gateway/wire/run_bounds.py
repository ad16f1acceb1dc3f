"""What a run may take in all, as its caller says it in headers beside the run's name.

They narrow what budgets and time-outs allow, and never widen it: a caller who sends none is bound by those alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.errors import InvalidRequest
from tiers.price import MICRODOLLARS_PER_DOLLAR

RUN: Final = b"x-tiergate-run"
MAX_USD: Final = b"x-tiergate-run-max-usd"
MAX_CALLS: Final = b"x-tiergate-run-max-calls"
DEADLINE: Final = b"x-tiergate-run-deadline"

_CALLS: Final = re.compile(rb"[0-9]{1,9}")
_USD: Final = re.compile(rb"([0-9]{1,9})(?:\.([0-9]{1,6}))?")
_UNIX: Final = re.compile(rb"[0-9]{1,11}(?:\.[0-9]{1,9})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBounds:
    """``microdollars`` and ``calls`` are of the whole run, ``deadline_unix`` is in seconds; ``None`` is no bound."""

    microdollars: int | None = None
    calls: int | None = None
    deadline_unix: float | None = None


def run_bounds_of(named: Mapping[bytes, bytes]) -> RunBounds | None:
    """The bounds in these headers, by their names in lower case; ``None`` where there is none.

    Raises:
        InvalidRequest: One cannot be read, or no run is named.
    """
    sent = [name for name in (MAX_USD, MAX_CALLS, DEADLINE) if name in named]
    if not sent:
        return None
    if not named.get(RUN, b"").strip():
        raise _refused(sent[0], f"bounds a run, which {RUN.decode()} has to name")
    usd, calls, deadline = named.get(MAX_USD), named.get(MAX_CALLS), named.get(DEADLINE)
    return RunBounds(
        microdollars=None if usd is None else _microdollars(usd.strip()),
        calls=None if calls is None else _count(calls.strip()),
        deadline_unix=None if deadline is None else _moment(deadline.strip()),
    )


def _microdollars(raw: bytes) -> int:
    found = _USD.fullmatch(raw)
    if found is None:
        raise _refused(
            MAX_USD, "is an amount of US dollars such as 0.25, with at most six decimals and below a billion"
        )
    whole, decimals = found.groups(b"")
    return int(whole) * MICRODOLLARS_PER_DOLLAR + int(decimals.ljust(6, b"0"))


def _count(raw: bytes) -> int:
    if _CALLS.fullmatch(raw) is None:
        raise _refused(MAX_CALLS, "is a whole number of calls below a billion")
    return int(raw)


def _moment(raw: bytes) -> float:
    if _UNIX.fullmatch(raw) is None:
        raise _refused(DEADLINE, "is a moment in seconds since 1970 in UTC, such as 1795420800.5")
    return float(raw)


def _refused(name: bytes, what: str) -> InvalidRequest:
    return InvalidRequest(f"The header {name.decode()} {what}.", param=name.decode())
