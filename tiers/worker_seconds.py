"""What the workers of an endpoint do that Runpod bills, as far as can be seen from outside.

Runpod bills a worker from its container's start to its stop: while it loads, works, and waits for its idle timeout.
Its health address tells that of a load balancer's workers: those whose container is up are running, those that have
loaded are ready. Of a queue's workers only the busy are running, and those that FlashBoot holds, which cost nothing,
count as ready like those that wait: so a worker that has just worked is taken to wait for as long as the idle timeout,
and one that is ready while somebody waits and none works is taken to load.
"""

from collections import deque
from dataclasses import dataclass

from tiers.warmth import Sample

IDLE_TIMEOUT_SECONDS = 5.0
"""Runpod's own; health does not tell an endpoint's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """Billed workers at one moment: those that ``can`` work, and those that are ``starting``."""

    can: int = 0
    starting: int = 0

    def idle(self, in_flight: int) -> int:
        """How many of those that can work have nothing to do while so many requests are in flight."""
        return max(0, self.can - in_flight)


class WorkerSight:
    """What is seen of one endpoint's billed workers."""

    __slots__ = ("_balanced", "_busy")

    def __init__(self, *, balanced: bool) -> None:
        self._balanced = balanced
        self._busy: deque[tuple[float, int]] = deque()

    def see(self, sample: Sample, now: float, *, warm: bool) -> Working:
        """What ``sample``, which is the latest at ``now``, says of them; unless it is ``warm`` none works yet."""
        if self._balanced:
            # Health comes late: where one is known to work, it is not said to load.
            can = min(sample.running, max(sample.ready, 1)) if warm else 0
            return Working(can=can, starting=sample.running - can)
        if not warm:
            return Working(starting=max(sample.running, sample.ready if sample.in_queue else 0))
        can = max(sample.running, self._lately(sample.running, now))
        return Working(can=can, starting=max(0, sample.ready - can) if sample.in_queue else 0)

    def _lately(self, busy: int, now: float) -> int:
        """The most that were busy at once within the idle timeout."""
        seen = self._busy
        while seen and seen[-1][1] <= busy:
            seen.pop()
        seen.append((now, busy))
        while seen[0][0] < now - IDLE_TIMEOUT_SECONDS:
            seen.popleft()
        return seen[0][1]
