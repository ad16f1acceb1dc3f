"""How awake a Runpod endpoint is, as a table.

    unknown        never looked at
    cold           no worker is awake, and none was asked for
    waking         a worker was asked for and is not there yet
    warm           a worker takes requests, or says that it would
    throttled      no GPU is free for a worker
    crash-looping  workers come up and end again
    paused         requests wait and no worker is even started: the endpoint may have none (no workers allowed, a limit
                   of the account, a week without a request)

Three sources tell of it: what requests learn (a worker *answered*; the endpoint said that it is *asleep*), what is sent
there (*called*), and samples of the endpoint's health. A sample is read as one event, by the first line that fits; *up*
is a worker that is ready or running. An idle one is scaled down, and as good as none unless it is ready, too:

    a job is in progress with any worker; or, of a load balancer, a worker is ready        proof
    up, and a request waits, or another worker is unhealthy                                loading
    up, and nobody waits                                                                   resting
    initializing, and a request waits, or another worker is unhealthy                      coming
    initializing, and nobody waits: an image is pulled ahead of time                       nothing
    unhealthy                                                                              crashing
    throttled                                                                              throttled
    no worker at all, and a request waits                                                  stuck; after a while stalled
    no worker at all                                                                       nothing

Unhealthy comes before throttled, since most reports of missing capacity are crash loops. Of a queue endpoint, that a
worker is ready is no *proof*: workers count as ready while they load, and while FlashBoot only holds them. So an
endpoint whose workers rest is warm, but where nothing was proved for a while a request had better go there as a job:
over the OpenAI route it might wait for longer than the edge lets it. And where a request waits although a worker is
up, that worker loads: the endpoint is waking, unless a worker has just proved that it works. A load balancer's ready
workers have passed its health check, which is a proof; those that run and are not ready have not yet. It has no queue,
so that nobody can tell from outside whether a request waits: where a worker starts, that is taken for granted.

                unknown    cold       waking     warm       throttled  crash-l.   paused
    answered    warm       warm       warm       ·          warm       warm       warm
    called      waking     waking     ·          ·          ·          ·          ·
    asleep      cold       ·          ·          cold       ·          ·          ·
    proof       warm       warm       warm       ·          warm       warm       warm
    resting     warm       warm       warm       ·          warm       cold       warm
    loading     waking     waking     ·          waking     waking     ·          waking
    coming      waking     waking     ·          waking     waking     ·          waking
    throttled   throttled  throttled  throttled  throttled  ·          throttled  throttled
    crashing    crash-l.   crash-l.   crash-l.   crash-l.   crash-l.   ·          crash-l.
    stuck       waking     waking     ·          waking     waking     ·          ·
    stalled     paused     paused     paused     paused     paused     ·          ·
    nothing     cold       ·          cold       cold       cold       cold       ·
    doubted     ·          ·          ·          cold       cold       cold       cold

A dot changes nothing. A worker that loads does not end a crash loop, since each of its workers loads first. What was
heard last is believed for a while only (*doubted*): after bad news a request may try then. That is also the only way
out of *paused* for an endpoint that nobody asks any more: no worker comes there until a request does.

A sample that was taken before the latest answer of a worker is late news, and one that says *nothing* or *resting* just
after a call does not know of it yet. Times are seconds of one clock that never goes back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product
from statistics import median
from types import MappingProxyType
from typing import Final

SPANS_MAX: Final = 20
"""Wake times that count: the latest ones."""


class State(StrEnum):
    """How awake an endpoint is."""

    UNKNOWN = "unknown"
    COLD = "cold"
    WAKING = "waking"
    WARM = "warm"
    THROTTLED = "throttled"
    CRASH_LOOPING = "crash-looping"
    PAUSED = "paused"


class Event(StrEnum):
    """What can be learned of it."""

    ANSWERED = "answered"
    CALLED = "called"
    ASLEEP = "asleep"
    PROOF = "proof"
    LOADING = "loading"
    RESTING = "resting"
    COMING = "coming"
    THROTTLED = "throttled"
    CRASHING = "crashing"
    STUCK = "stuck"
    STALLED = "stalled"
    NOTHING = "nothing"
    DOUBTED = "doubted"


_S, _E = State, Event
BAD: Final = frozenset({_S.THROTTLED, _S.CRASH_LOOPING, _S.PAUSED})
"""The states that are bad news."""
_NOT_WARM: Final = tuple(state for state in State if state is not _S.WARM)


_NEWS: Final = frozenset({_E.ANSWERED, _E.PROOF, _E.RESTING, _E.THROTTLED, _E.CRASHING, _E.STALLED})
"""What a warm endpoint, or bad news of one, is believed by."""


def _to(after: State, event: Event, *before: State) -> dict[tuple[State, Event], State]:
    return {(state, event): after for state in before}


TRANSITIONS: Mapping[tuple[State, Event], State] = MappingProxyType(
    {pair: pair[0] for pair in product(State, Event)}
    | _to(_S.WARM, _E.ANSWERED, *_NOT_WARM)
    | _to(_S.WARM, _E.PROOF, *_NOT_WARM)
    | _to(_S.WAKING, _E.CALLED, _S.UNKNOWN, _S.COLD)
    | _to(_S.COLD, _E.ASLEEP, _S.UNKNOWN, _S.WARM)
    | _to(_S.WARM, _E.RESTING, _S.UNKNOWN, _S.COLD, _S.WAKING, _S.THROTTLED, _S.PAUSED)
    | _to(_S.COLD, _E.RESTING, _S.CRASH_LOOPING)
    | _to(_S.WAKING, _E.LOADING, _S.UNKNOWN, _S.COLD, _S.WARM, _S.THROTTLED, _S.PAUSED)
    | _to(_S.WAKING, _E.COMING, _S.UNKNOWN, _S.COLD, _S.WARM, _S.THROTTLED, _S.PAUSED)
    | _to(_S.THROTTLED, _E.THROTTLED, *State)
    | _to(_S.CRASH_LOOPING, _E.CRASHING, *State)
    | _to(_S.WAKING, _E.STUCK, _S.UNKNOWN, _S.COLD, _S.WARM, _S.THROTTLED)
    | _to(_S.PAUSED, _E.STALLED, _S.UNKNOWN, _S.COLD, _S.WAKING, _S.WARM, _S.THROTTLED)
    | _to(_S.COLD, _E.NOTHING, _S.UNKNOWN, _S.WAKING, _S.WARM, _S.THROTTLED, _S.CRASH_LOOPING)
    | _to(_S.COLD, _E.DOUBTED, _S.WARM, *BAD)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What an endpoint's health address said: its workers by their condition, and its jobs."""

    idle: int = 0
    initializing: int = 0
    ready: int = 0
    running: int = 0
    throttled: int = 0
    unhealthy: int = 0
    in_queue: int = 0
    in_progress: int = 0

    @property
    def up(self) -> bool:
        """Whether some worker's container runs, or is held by FlashBoot to run again soon."""
        return bool(self.ready or self.running)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long things are believed; in seconds."""

    stuck: float = 30.0
    """So long requests may wait without any worker before the endpoint counts as paused: a scaler takes seconds."""
    doze: float = 10.0
    """So long a proof counts: Runpod's own idle timeout. A worker that is ready after it may have to load first."""
    believed: float = 90.0
    """So long what was heard last is believed: longer than the time between two looks at an unused endpoint."""
    grace: float = 5.0
    """So long after a call a sample may not know of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How awake an endpoint is, and since when."""

    state: State = State.UNKNOWN
    since: float = 0.0
    proved_at: float = float("-inf")
    """When a worker is known to have worked, last."""
    called_at: float = float("-inf")
    """When something was sent there last that wakes a worker."""
    heard_at: float = float("-inf")
    """When the present state was heard of last, where it is warm or bad news."""
    stuck_since: float | None = None
    """Since when requests have waited without any worker."""
    waking_since: float | None = None
    """When the wake began that is under way, throttled or not."""
    spans: tuple[float, ...] = ()
    """How long the latest wakes took."""


def told(condition: Condition, event: Event, now: float) -> Condition:
    """After something was learned at ``now``."""
    before, after = condition.state, TRANSITIONS[condition.state, event]
    changed = replace(condition, state=after, since=condition.since if after is before else now)
    if event in {_E.ANSWERED, _E.PROOF}:
        changed = replace(changed, proved_at=now)
    elif event is _E.CALLED:
        changed = replace(changed, called_at=now)
    if event in _NEWS:
        changed = replace(changed, heard_at=now)
    if after is _S.WAKING:
        return changed if changed.waking_since is not None else replace(changed, waking_since=now)
    if event in {_E.ANSWERED, _E.PROOF} and condition.waking_since is not None:
        spans = (*condition.spans, now - condition.waking_since)[-SPANS_MAX:]
        changed = replace(changed, spans=spans)
    return changed if after is _S.THROTTLED else replace(changed, waking_since=None)


def heard(
    condition: Condition, sample: Sample, *, at: float, balanced: bool, asked: bool, patience: Patience
) -> Condition:
    """After a sample that was taken at ``at``; ``balanced`` is it of a load balancer, which has no queue, so that
    ``asked`` says whether a request waits there.
    """
    waits = sample.in_queue > 0 or (balanced and asked)
    event = _reading(sample, balanced=balanced, waits=waits)
    if event is not _E.PROOF and at < condition.proved_at:
        return condition
    if event in {_E.NOTHING, _E.RESTING} and at < condition.called_at + patience.grace:
        return condition
    if event is _E.LOADING and condition.state is _S.WARM and not balanced and proven(condition, at, patience):
        event = _E.RESTING  # a moment between two jobs
    if event is not _E.STUCK:
        return told(replace(condition, stuck_since=None), event, at)
    since = at if condition.stuck_since is None else condition.stuck_since
    # Where it was paused it has been long enough before.
    if at - since >= patience.stuck or condition.state is _S.PAUSED:
        event = _E.STALLED
    return told(replace(condition, stuck_since=since), event, at)


def passed(condition: Condition, now: float, *, patience: Patience) -> Condition:
    """After nothing but time."""
    believed = condition.state in BAD or condition.state is _S.WARM
    if not believed or now - condition.heard_at < patience.believed:
        return condition
    return replace(told(condition, _E.DOUBTED, now), stuck_since=None)


def proven(condition: Condition, now: float, patience: Patience) -> bool:
    """Whether a worker has worked lately."""
    return now - condition.proved_at < patience.doze


def wake_seconds(condition: Condition, expected: float) -> float:
    """How long a wake usually takes: the middle of the latest ones; ``expected`` while none was seen."""
    return median(condition.spans) if condition.spans else expected


def capacity(sample: Sample | None, *, balanced: bool, workers_max: int, slots: int, requests: int) -> int:
    """How many requests at once the workers of a warm endpoint can take; there are ``requests`` in all.

    Behind a queue those that are known to work are counted: each has a job. Others that say that they are ready may
    load; when they have loaded they take jobs from those that work. More than these have room for would only wait at
    Runpod, and what waits there starts workers. Where more are needed than there are, one request is let do so.
    """
    if sample is None:
        return slots
    if balanced:
        return min(max(sample.ready, 1), workers_max) * slots
    working = max(min(sample.running, sample.in_progress, workers_max), 1)
    there = max(sample.ready, sample.running) + sample.initializing
    fewer = there < workers_needed(requests, workers_max=workers_max, slots=slots)
    return working * slots + fewer


def workers_needed(requests: int, *, workers_max: int, slots: int) -> int:
    """How many workers take so many requests at once, as far as there may be so many."""
    return min(-(-requests // slots), workers_max)


def _reading(sample: Sample, *, balanced: bool, waits: bool) -> Event:
    """What a sample says: the lines of the table above, in their order."""
    if (sample.ready > 0) if balanced else (sample.in_progress > 0 and (sample.up or sample.idle > 0)):
        return _E.PROOF
    waited_for = waits or balanced or sample.unhealthy > 0
    if sample.running if balanced else sample.up:
        return _E.LOADING if waited_for else _E.RESTING
    if sample.initializing:
        return _E.COMING if waited_for else _E.NOTHING
    return _reading_of_none(sample, waits=waits)


def _reading_of_none(sample: Sample, *, waits: bool) -> Event:
    """What a sample says without any worker that runs or begins to."""
    if sample.unhealthy:
        return _E.CRASHING
    if sample.throttled:
        return _E.THROTTLED
    return _E.STUCK if waits else _E.NOTHING
