"""How awake one Runpod endpoint is, as far as this process knows.

One object for each Runpod endpoint, shared by all tiers and all generations of the tier map that call it. Transports
and the poll tell it what they see; the gate of ``gateway.hold`` asks it who may go. What follows from what is seen is
``tiers.warmth``'s table.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from gateway.exchange import Clock
from gateway.upstream.health import Report, untold
from gateway.upstream.runpod_times import RunpodTimes
from tiers.tiermap import Workers
from tiers.warmth import (
    BAD,
    Condition,
    Event,
    Patience,
    Sample,
    State,
    capacity,
    heard,
    passed,
    told,
    wake_seconds,
    workers_needed,
)

WOKEN_KEPT_MAX: Final = 100
"""Wake times that are kept for whoever wants to know."""
RETRY_AFTER_SECONDS_MAX: Final = 120
"""OpenAI's SDK does not believe in longer waits, and would come back at once."""
_OVERDUE: Final = 0.1
"""A wake that takes longer than expected is expected to take so much of a whole one more."""
_HOPELESS: Final = frozenset({State.PAUSED, State.CRASH_LOOPING})
_REASONS: Final = {
    State.THROTTLED: "Runpod has no free GPU for it",
    State.CRASH_LOOPING: "its workers end as soon as they come up; see their logs",
    State.PAUSED: "Runpod starts none (its workers' maximum may be 0, or a limit of the account is reached)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What may be hoped for.

    Attributes:
        seconds: How long it will take until a worker is awake, as far as is known.
        hopeless: Waiting is in vain.
        uncertain: Nobody can say how long it takes: another tier may do better.
        reason: Why, for people; empty where neither is so.
    """

    seconds: float
    hopeless: bool
    uncertain: bool
    reason: str


class Warmth:
    """See the module.

    Attributes:
        base: The URL of the Runpod endpoint, ``https://api.runpod.ai/v2/<id>``.
        workers: What stands behind it.
        balanced: Whether it has a load balancer in place of a queue.
        names: What the tier map calls it: one name for each tier that has it.
        ready: Whether a worker is known to be awake: what a request on the good path has to know.
        condition: What is known, in full.
        sample: What its health address said last; ``None`` before.
        sampled_at: When that was, by the monotonic clock.
        waiting: How many calls are held for it in this process.
        waiting_elsewhere: How many are in others, as far as is known.
        under_way: How many are at it from this process.
        doubted: Whether a request failed there since the last sample, so that it is time for another.
        wakes: How often this process began to wake it.
        woken: How many of these wakes ended with a worker awake.
        woken_seconds: How long the latest of them took.
    """

    def __init__(
        self,
        *,
        base: str,
        workers: Workers,
        clock: Clock,
        balanced: bool = False,
        times: RunpodTimes | None = None,
        report: Report = untold,
    ) -> None:
        times = times or RunpodTimes()
        self.base = base
        self.workers = workers
        self.balanced = balanced
        self.names: list[str] = []
        self.ready = False
        self.condition = Condition(since=clock.monotonic())
        self.sample: Sample | None = None
        self.sampled_at = -math.inf
        self.waiting = self.waiting_elsewhere = 0
        self.under_way = 0
        self.doubted = False
        self.wakes = 0
        self.woken = 0
        self.woken_seconds: deque[float] = deque(maxlen=WOKEN_KEPT_MAX)
        self._began_wake = False
        self._answered_at = -math.inf
        self._clock = clock
        self._expected = times.wake_expected
        self._patience = Patience(stuck=times.stuck, doze=times.doze, believed=times.believed, grace=times.grace)
        self._report = report
        self._listeners: list[Callable[[], None]] = []

    @property
    def state(self) -> State:
        """How awake it is."""
        return self.condition.state

    @property
    def since(self) -> float:
        """Since when, by the monotonic clock."""
        return self.condition.since

    @property
    def proved_at(self) -> float:
        """When a worker is known to have worked, last; by the monotonic clock."""
        return max(self.condition.proved_at, self._answered_at)

    @property
    def proven(self) -> bool:
        """Whether a worker has worked lately. A queue endpoint that is ready and has not proved it may take long."""
        return self._clock.monotonic() - self.proved_at < self._patience.doze

    @property
    def coming(self) -> bool:
        """Whether no worker is awake, and Runpod says that it has something to do with some, or with jobs for them."""
        return not self.ready and self.sample not in {None, Sample()}

    def listen(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` whenever its state or its capacity changes."""
        self._listeners.append(changed)

    def unlisten(self, changed: Callable[[], None]) -> None:
        """Call it no more."""
        self._listeners.remove(changed)

    def answered(self) -> None:
        """A worker answered a request, or took it: one is awake."""
        if self.ready:  # the good path: the rest has time until somebody looks
            self._answered_at = self._clock.monotonic()
            return
        self._become(told(self.condition, Event.ANSWERED, self._clock.monotonic()))

    def called(self) -> None:
        """What wakes a worker was sent: a job, or a request to a load balancer."""
        before = self.condition.state
        self._become(told(self.condition, Event.CALLED, self._clock.monotonic()))
        if before is not State.WAKING and self.condition.state is State.WAKING:
            self.wakes += 1
            self._began_wake = True

    def asleep(self) -> None:
        """The endpoint said that no worker is awake."""
        self._become(told(self.condition, Event.ASLEEP, self._clock.monotonic()))

    def failed(self) -> None:
        """A request failed there in a way that says nothing of its workers: it is time for a look."""
        self.doubted = True

    def heard(self, sample: Sample, *, at: float | None = None) -> None:
        """The health address said so, ``at`` that time, which is now where nothing is said."""
        at = self._clock.monotonic() if at is None else at
        if at < self.sampled_at:
            return
        room = self.capacity()
        self._catch_up()
        self.sample, self.sampled_at, self.doubted = sample, at, False
        condition = heard(
            self.condition, sample, at=at, balanced=self.balanced, asked=self.under_way > 0, patience=self._patience
        )
        self._become(condition, changed=self.capacity() != room)

    def worked(self, at: float) -> None:
        """A worker was at work at that time, as another process saw."""
        if at > self.proved_at and at >= max(self.sampled_at, self.condition.since):
            self._become(told(self.condition, Event.PROOF, at))

    def look(self) -> None:
        """Time has passed."""
        self._catch_up()
        self._become(passed(self.condition, self._clock.monotonic(), patience=self._patience))

    def capacity(self) -> int:
        """How many requests at once its awake workers can take."""
        workers = self.workers
        requests = self.under_way + self.waiting + self.waiting_elsewhere
        return capacity(
            self.sample, balanced=self.balanced, workers_max=workers.max, slots=workers.slots, requests=requests
        )

    def needed(self, waiting: int) -> int:
        """How many workers take ``waiting`` requests of this process and those of the others."""
        workers = self.workers
        return workers_needed(waiting + self.waiting_elsewhere, workers_max=workers.max, slots=workers.slots)

    def outlook(self) -> Outlook:
        """What may be hoped for by those who wait."""
        state = self.condition.state
        return Outlook(
            seconds=self._seconds_left(),
            hopeless=state in _HOPELESS,
            uncertain=state is State.THROTTLED,
            reason=_REASONS.get(state, ""),
        )

    def retry_after(self) -> float:
        """In how many seconds to come again: from 1 to 120."""
        return max(1, min(math.ceil(self._seconds_left()), RETRY_AFTER_SECONDS_MAX))

    def wake_seconds(self) -> float:
        """How long its workers usually take to wake."""
        return wake_seconds(self.condition, self._expected)

    def _catch_up(self) -> None:
        if self._answered_at > self.condition.proved_at:
            self.condition = replace(
                self.condition, proved_at=self._answered_at, heard_at=max(self._answered_at, self.condition.heard_at)
            )

    def _seconds_left(self) -> float:
        condition, whole = self.condition, self.wake_seconds()
        if condition.state is State.WARM:
            return 0.0
        now = self._clock.monotonic()
        if condition.state in _HOPELESS:
            return max(condition.heard_at + self._patience.believed - now, 0.0)
        if condition.state in BAD or condition.waking_since is None:
            return whole
        return max(condition.waking_since + whole - now, whole * _OVERDUE)

    def _become(self, condition: Condition, *, changed: bool = False) -> None:
        before, self.condition = self.condition, condition
        if condition.state is not before.state:
            changed = True
            self.ready = condition.state is State.WARM
            self._tell(before)
        if changed:
            for listener in list(self._listeners):
                listener()

    def _tell(self, before: Condition) -> None:
        state = self.condition.state
        if self._began_wake and self.condition.spans is not before.spans:
            self.woken += 1
            self.woken_seconds.append(self.condition.spans[-1])
        if state not in {State.WAKING, State.THROTTLED}:
            self._began_wake = False
        self._report(
            "endpoint.warmth",
            endpoints=self.names,
            state=state.value,
            before=before.state.value,
            seconds=round(max(self.condition.since - before.since, 0.0), 3),
        )
