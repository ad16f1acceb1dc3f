"""Which workers of a queue endpoint are billed, as far as can be seen from outside.

Health tells little of them: only the busy are running, and who waits for its idle timeout is ready like those that
load, and like those that FlashBoot holds, which cost nothing. So requests in flight are the evidence. One worker is
billed from a request's coming, as far as none has still to pull its image, to its end, and for the idle timeout after
that; others as far as they are said to work, or are ready while jobs wait, or while several requests are in flight.
Only a container that starts makes more of them ready: such a one is billed until it may have loaded and waited for its
idle timeout. Where those that are scaled down are not ready, FlashBoot holds none, and all that are ready are billed.
"""

from collections import deque

from tiers.worker_moment import Counted, Moment

LOOK_SECONDS = 2.0
"""Between two looks at billed workers: who was at work at one has ended half of it later, where nobody knows better."""


class QueueWorkers:
    """Counts them from one moment to the next. All times are seconds of Runpod's clock."""

    __slots__ = (
        "_before", "_births", "_holds", "_idle_timeout", "_in_flight_at", "_load", "_over_at", "_own", "_told",
    )  # fmt: skip

    def __init__(self, *, idle_timeout: float, load: float) -> None:
        """``load``: how long a worker is expected to load while none was seen to."""
        self._idle_timeout = idle_timeout
        self._load = load
        self._told: deque[tuple[float, int]] = deque()
        self._own: deque[tuple[float, int]] = deque()
        self._births: deque[float] = deque()
        self._holds = True
        self._in_flight_at = self._over_at = float("-inf")
        self._before: Moment | None = None

    def count(self, moment: Moment, counted: Counted) -> Counted:
        """The billed workers now; ``counted`` were those of the moment before."""
        sample, now = moment.sample, moment.now
        self._bear(moment)
        if moment.in_flight:
            self._in_flight_at = now
        if sample.ready < sample.idle + sample.running:
            self._holds = False
        asking = self._asking(moment, counted)
        working = max(sample.running, asking if moment.warm else 0)
        loading = self._loading(moment, working, asking)
        # Who had work lately waits for its idle timeout, and so does who has loaded and found none.
        told_at = min(now, max(moment.sampled_at, min(moment.sampled_at + LOOK_SECONDS / 2, self._in_flight_at)))
        told = self._lately(self._told, told_at, sample.running + loading, now)
        own = self._lately(self._own, now, asking if moment.warm or sample.up else 0, now)
        billed = max(told, own, working + loading if asking else 0, min(len(self._births), sample.ready))
        if not self._holds:
            billed = max(sample.ready, working)
        self._before = moment
        loading = min(loading, billed)
        return Counted(awake=billed - loading, starting=loading)

    def fell_at(self, moment: Moment, before: Moment) -> float:
        """When those went that are not there any more: the last work ended between two moments, and so did its idle
        timeout.
        """
        if not self._holds and moment.sampled_at > before.sampled_at:
            return (before.sampled_at + moment.sampled_at) / 2
        return min(max(self._over_at + (moment.now - before.now) / 2, before.now), moment.now)

    def _bear(self, moment: Moment) -> None:
        """Note new containers. The first that works tells how long one loads."""
        before = self._before
        if before is None:
            return
        middle = (before.sampled_at + moment.sampled_at) / 2
        self._births.extend([middle] * (moment.sample.ready - before.sample.ready))
        if moment.warm and not before.warm and self._births:
            self._load = moment.sampled_at - self._births.popleft()
        while self._births and self._births[0] < moment.now - self._load - self._idle_timeout:
            self._births.popleft()

    def _asking(self, moment: Moment, counted: Counted) -> int:
        """How many workers the requests in flight have: they go to whoever of those awake has least to do. Several that
        are there for one moment only may have followed on each other.
        """
        lasting = 0 if self._before is None else self._before.in_flight
        return min(moment.in_flight, max(min(counted.awake, lasting), 1))

    def _loading(self, moment: Moment, working: int, asking: int) -> int:
        sample = moment.sample
        # Who has come to work since the look is not in the queue any more.
        taken = max(asking - sample.running, 0) if moment.warm else 0
        born = sum(at > moment.now - self._load for at in self._births)
        loading = min(max(born, sample.in_queue - taken), max(sample.ready - working, 0))
        return max(loading, 1) if asking and not moment.warm and sample.up and not working else max(loading, 0)

    def _lately(self, seen: deque[tuple[float, int]], at: float, billed: int, now: float) -> int:
        """The most that were at work or loading at once within the idle timeout; so many were at that time."""
        while seen and seen[-1][1] <= billed:
            seen.pop()
        seen.append((at, billed))
        while len(seen) > 1 and seen[0][0] < now - self._idle_timeout:
            self._over_at = seen.popleft()[0] + self._idle_timeout
        return seen[0][1] if seen[0][0] >= now - self._idle_timeout else 0
