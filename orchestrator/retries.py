"""Which failures of a step are worth another try, and when: the only layer of retries in the orchestrator."""

from collections.abc import Callable
from typing import Final

import openai

from orchestrator.cause import chain

ATTEMPTS_MAX: Final = 3
"""How often a step begins in all."""

FIRST_SECONDS: Final = 1.0
SECONDS_MAX: Final = 60.0
RETRY_AFTER_SECONDS_MAX: Final = 300.0

_TRANSIENT_STATUS = frozenset({408, 409, 429, 500, 502, 503, 504, 529})


def delay(error: BaseException, attempt: int, *, random: Callable[[], float]) -> float | None:
    """Seconds to wait before the step begins again, ``None`` where that is pointless.

    Args:
        error: What the step raised.
        attempt: How often it has begun so far, from 1.
        random: Gives numbers from 0 to 1, so that many runs do not come back at once.
    """
    cause = next((each for each in chain(error) if isinstance(each, openai.APIError | ConnectionError)), None)
    if attempt >= ATTEMPTS_MAX or cause is None:
        return None
    if isinstance(cause, openai.APIStatusError):
        if cause.status_code not in _TRANSIENT_STATUS or cause.response.headers.get("x-should-retry") == "false":
            return None
        told = _seconds(cause.response.headers.get("retry-after"))
        if told is not None:
            return min(told, RETRY_AFTER_SECONDS_MAX) + random()
    bound = min(SECONDS_MAX, FIRST_SECONDS * 2.0 ** (attempt - 1))
    return bound / 2 + bound / 2 * random()


def _seconds(text: str | None) -> float | None:
    try:
        return max(0.0, float(text or ""))
    except ValueError:
        return None
