"""Moments as Runpod writes them: RFC 3339 in UTC, from and to the seconds of the emulator's clock."""

from datetime import UTC, datetime


def rfc3339(seconds: float) -> str:
    """A moment to the second, as most fields have it."""
    return datetime.fromtimestamp(int(seconds // 1), tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_precise(seconds: float) -> str:
    """A moment to the microsecond, as lines of logs have it."""
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds_of(text: str) -> float:
    """The moment that ``text`` names.

    Raises:
        ValueError: It is not RFC 3339 with a time and an offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or "T" not in text.upper():
        raise ValueError(text)
    return moment.timestamp()
