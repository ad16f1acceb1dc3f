"""What is asked of the records: which of them, and counted by what."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

GROUPS: Final = (
    "key", "team", "agent", "flow", "run", "step", "tier", "endpoint", "model", "outcome", "day", "hour",
)  # fmt: skip
"""What records can be counted by; days and hours are UTC's."""
FILTERS: Final = ("key", "team", "agent", "tier", "run")
"""What can be asked for by its exact name."""
SINCE: Final = "7d"
_SECONDS: Final = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class QuestionInvalid(ValueError):
    """The question makes no sense; the text says why, and ``param`` is the part that is wrong."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(f"{param}: {message}")
        self.param = param


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Records of requests that were received from ``since_unix`` on and before ``until_unix`` (``None``: up
    to the latest, also where another host's clock is ahead), counted ``by`` some of
    ``GROUPS``; by nothing: all together. ``only`` maps some of ``FILTERS`` to the name that is asked for.
    """

    by: tuple[str, ...]
    since_unix: float
    until_unix: float | None = None
    only: Mapping[str, str] = field(default_factory=dict)


def read_question(
    *, by: str, since: str, until: str | None, only: Mapping[str, str | None], now_unix: float
) -> Question:
    """A question from its words: ``by`` is separated by commas, a time is an age (``90m``, ``12h``, ``7d``, ``2w``) or
    RFC 3339, whose zone is UTC where it names none.

    Raises:
        QuestionInvalid: They make no sense.
    """
    groups = tuple(name.strip() for name in by.split(",")) if by.strip() else ()
    _check(groups)
    begins = moment_of("since", since, now_unix)
    ends = None if until is None else moment_of("until", until, now_unix)
    if begins >= (now_unix if ends is None else ends):
        raise QuestionInvalid("since", "is not before until, or now")
    asked = {name: value for name, value in only.items() if value is not None}
    return Question(by=groups, since_unix=begins, until_unix=ends, only=asked)


def _check(groups: Sequence[str]) -> None:
    for name in groups:
        if name not in GROUPS:
            raise QuestionInvalid("by", f"{name!r} is none of {', '.join(GROUPS)}")
    if len(set(groups)) < len(groups):
        raise QuestionInvalid("by", "names one twice")


def moment_of(param: str, text: str, now_unix: float) -> float:
    """An age or RFC 3339 as Unix seconds; raises ``QuestionInvalid``, whose ``param`` is that."""
    age = re.fullmatch(r"([1-9]\d{0,4})([mhdw])", text)
    if age is not None:
        return now_unix - int(age[1]) * _SECONDS[age[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise QuestionInvalid(param, f"{text!r} is neither an age such as 7d or 12h nor RFC 3339") from None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
