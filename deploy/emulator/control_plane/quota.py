"""How often one account may call: three fixed windows at once, as ``RateLimit`` headers tell it.

A window begins with the first call after the last one ended. A refused call is not counted.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One window: ``calls`` in ``seconds``."""

    name: str
    calls: int
    seconds: int


WINDOWS = (
    Window(name="minute", calls=60, seconds=60),
    Window(name="hour", calls=3000, seconds=3600),
    Window(name="day", calls=50000, seconds=86400),
)
"""Runpod's documented policy for one account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one call.

    Attributes:
        headers: ``RateLimit`` and ``RateLimit-Policy``.
        exceeded: The name of the window that is used up; empty where the call may pass.
        retry_after: Seconds until it may pass.
    """

    headers: dict[str, str]
    exceeded: str = ""
    retry_after: int = 0


class Quota:
    """One account's counters."""

    def __init__(self, windows: tuple[Window, ...] = WINDOWS) -> None:
        self._windows = windows
        self._began = [-math.inf] * len(windows)
        self._used = [0] * len(windows)

    def take(self, now: float) -> Verdict:
        """Count a call at ``now``, if it may pass."""
        for index, window in enumerate(self._windows):
            if now >= self._began[index] + window.seconds:
                self._began[index], self._used[index] = now, 0
        full = [i for i, window in enumerate(self._windows) if self._used[i] >= window.calls]
        if full:
            longest = max(full, key=lambda i: self._resets_in(i, now))
            exceeded, wait = self._windows[longest].name, self._resets_in(longest, now)
            return Verdict(headers=self._headers(now), exceeded=exceeded, retry_after=wait)
        for index in range(len(self._windows)):
            self._used[index] += 1
        return Verdict(headers=self._headers(now))

    def _resets_in(self, index: int, now: float) -> int:
        return max(1, math.ceil(self._began[index] + self._windows[index].seconds - now))

    def _headers(self, now: float) -> dict[str, str]:
        left = (
            f'"{window.name}";r={window.calls - self._used[index]};t={self._resets_in(index, now)}'
            for index, window in enumerate(self._windows)
        )
        policy = (f'"{window.name}";q={window.calls};w={window.seconds}' for window in self._windows)
        return {"RateLimit": ", ".join(left), "RateLimit-Policy": ", ".join(policy)}
