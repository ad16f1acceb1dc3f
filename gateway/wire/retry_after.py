"""When an endpoint wants to be asked again, as its answer says."""

from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import Final

from gateway.wire.headers import Header

_CHARACTERS_MAX: Final = 15
"""Of a number: a longer one is no time that anybody waits."""


def retry_after(headers: Sequence[Header], unix: float) -> float | None:
    """In how many seconds from ``unix``, the time now; ``None`` where the answer does not say.

    ``retry-after-ms`` goes first, as with the OpenAI SDK; ``retry-after`` is seconds or a date (RFC 9110 §10.2.3).
    """
    named = dict(headers)
    milliseconds = _number(named.get(b"retry-after-ms", b""))
    if milliseconds is not None:
        return milliseconds / 1000
    value = named.get(b"retry-after", b"")
    seconds = _number(value)
    return seconds if seconds is not None else _until(value, unix)


def _number(value: bytes) -> float | None:
    """A number of at least 0; ``None`` where it is none."""
    if len(value) > _CHARACTERS_MAX:
        return None
    whole, _, part = value.partition(b".")
    return float(value) if whole.isdigit() and (part.isdigit() or not part) else None


def _until(date: bytes, unix: float) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(date.decode("ascii", "replace")).timestamp() - unix)
    except (ValueError, OverflowError):
        return None
