"""Runpod's rate limits: so many calls in a window of ten seconds, so many at once."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

WINDOW_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How often one operation of one endpoint may be called; ``at_once`` 0 is no limit."""

    calls: int
    at_once: int = 0
    per_worker: int = 0
    """With this many running workers times this allowance above ``calls``, that is the limit."""


LIMITS: Mapping[str, Limit] = MappingProxyType(
    {
        "run": Limit(calls=1000, at_once=200, per_worker=100),
        "runsync": Limit(calls=2000, at_once=400, per_worker=100),
        "openai": Limit(calls=2000, at_once=400, per_worker=100),
        "status": Limit(calls=2000, at_once=400),
        "stream": Limit(calls=2000, at_once=400),
        "cancel": Limit(calls=100, at_once=20),
        "purge-queue": Limit(calls=2),
        "requests": Limit(calls=10, at_once=2),
    }
)
"""Operation → its limit per endpoint. The allowance per worker is documented without a figure."""


class Window:
    """The calls of the last seconds."""

    def __init__(self, calls: int, seconds: float = WINDOW_SECONDS) -> None:
        self._calls = calls
        self._seconds = seconds
        self._at: deque[float] = deque()

    def take(self, now: float, calls: int | None = None) -> float:
        """Count a call if the limit (``calls``, else the window's own) lets it through.

        Returns:
            0.0 where it was let through, else the seconds until the next one would be.
        """
        self._forget(now)
        most = self._calls if calls is None else calls
        if len(self._at) >= most:
            return max(self._at[0] + self._seconds - now, 0.001) if self._at else self._seconds
        self._at.append(now)
        return 0.0

    def remaining(self, now: float) -> int:
        """How many calls it would let through now."""
        self._forget(now)
        return max(0, self._calls - len(self._at))

    def resets_in(self, now: float) -> float:
        """Seconds until the oldest counted call leaves the window; 0 where there is none."""
        self._forget(now)
        return self._at[0] + self._seconds - now if self._at else 0.0

    def _forget(self, now: float) -> None:
        while self._at and self._at[0] <= now - self._seconds:
            self._at.popleft()


class Gate:
    """One endpoint's counters for all operations."""

    def __init__(self) -> None:
        self._windows = {name: Window(limit.calls) for name, limit in LIMITS.items()}
        self._at_once = dict.fromkeys(LIMITS, 0)

    def enter(self, operation: str, now: float, *, running_workers: int) -> bool:
        """Whether a call may begin; if so, ``leave`` has to be called at its end."""
        limit = LIMITS[operation]
        if limit.at_once and self._at_once[operation] >= max(limit.at_once, running_workers * limit.per_worker):
            return False
        if self._windows[operation].take(now, max(limit.calls, running_workers * limit.per_worker)):
            return False
        self._at_once[operation] += 1
        return True

    def leave(self, operation: str) -> None:
        """A call that was let in has ended."""
        self._at_once[operation] -= 1
