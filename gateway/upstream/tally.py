"""How an endpoint did lately, counted where a tier has several: what ``tiers.outliers`` compares."""

from collections import deque
from statistics import median
from typing import Final

from tiers.outliers import REQUESTS_MIN, Showing

TIMES_KEPT_MAX: Final = 256
"""Times to the first byte that are kept of each half of what counts."""


class Tally:
    """Requests of the present span of time and of the one before; ``turn`` begins a new one."""

    __slots__ = ("_failures", "_failures_before", "_requests", "_requests_before", "_times", "_times_before")

    def __init__(self) -> None:
        self._requests = self._requests_before = 0
        self._failures = self._failures_before = 0
        self._times: deque[float] = deque(maxlen=TIMES_KEPT_MAX)
        self._times_before: deque[float] = deque(maxlen=TIMES_KEPT_MAX)

    def count(self, *, failed: bool) -> None:
        """A request's result is known."""
        self._requests += 1
        self._failures += failed

    def answered(self, seconds: float) -> None:
        """So long after a request was sent its answer began."""
        self._times.append(seconds)

    def turn(self) -> None:
        """The present span is over; the one before it does not count any more."""
        self._requests_before, self._requests = self._requests, 0
        self._failures_before, self._failures = self._failures, 0
        self._times_before, self._times = self._times, self._times_before
        self._times.clear()

    def clear(self) -> None:
        """Nothing counts any more: the endpoint begins anew."""
        self.turn()
        self.turn()

    def showing(self, *, out: bool) -> Showing:
        """Both spans together."""
        times = [*self._times_before, *self._times]
        return Showing(
            requests=self._requests + self._requests_before,
            failures=self._failures + self._failures_before,
            first_byte_seconds=median(times) if len(times) >= REQUESTS_MIN else None,
            out=out,
        )
