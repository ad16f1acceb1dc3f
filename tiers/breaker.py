"""A circuit breaker, as a table: whether an endpoint is asked, left alone, or tried.

    closed      it is asked; failures in a row are counted
    open        it is left alone until a deadline, since asking it would only cost time
    half-open   one trial decides; nothing else is sent to it

              trip            time
    closed ─────────▶ open ─────────▶ half-open ◀─┐
      ▲                ▲               │  │  │    │
      │                └ failure, trip ┘  │  └time┘
      └───────────── success ─────────────┘

*Trip* is the failure that reaches the limit, or an ejection (``tiers.outliers``). *Time* is a deadline that has passed:
an opening's, or that of a trial whose result never came. Whatever is not drawn changes nothing: what is heard while it
is open comes from requests that were sent before. Each opening in a row lasts twice as long as the one before, up to a
bound. What has just closed opens again at its first failure, until something succeeded.

Times are seconds of one clock that never goes back; deadlines are absolute.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product
from types import MappingProxyType

from tiers.tiermap import Breaker


class State(StrEnum):
    """Whether the endpoint is asked."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Event(StrEnum):
    """What can be learned of the endpoint."""

    SUCCESS = "success"
    FAILURE = "failure"
    TRIP = "trip"
    TIME = "time"


TRANSITIONS: Mapping[tuple[State, Event], State] = MappingProxyType(
    {pair: pair[0] for pair in product(State, Event)}
    | {
        (State.CLOSED, Event.TRIP): State.OPEN,
        (State.OPEN, Event.TIME): State.HALF_OPEN,
        (State.HALF_OPEN, Event.SUCCESS): State.CLOSED,
        (State.HALF_OPEN, Event.FAILURE): State.OPEN,
        (State.HALF_OPEN, Event.TRIP): State.OPEN,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """Where a breaker stands."""

    state: State = State.CLOSED
    failed_at: tuple[float, ...] = ()
    """While closed: when the latest failures in a row were, as far as they still count."""
    until: float = 0.0
    """Open: when a trial may begin. Half-open: how long its result is waited for. Closed: until when it counts as just
    closed, so that another opening is one in a row."""
    openings: int = 0
    """How many in a row."""

    @property
    def spotless(self) -> bool:
        """Whether a success would tell nothing new."""
        return self.state is State.CLOSED and not self.failed_at


def failed(circuit: Circuit, settings: Breaker, now: float) -> Circuit:
    """After a failure: of a request, or of the trial."""
    if circuit.state is State.CLOSED:
        counted = (*(at for at in circuit.failed_at if now - at <= settings.within), now)
        if len(counted) >= settings.failures:
            return tripped(circuit, settings, now)
        return replace(circuit, state=TRANSITIONS[circuit.state, Event.FAILURE], failed_at=counted)
    return _after(circuit, Event.FAILURE, settings, now)


def tripped(circuit: Circuit, settings: Breaker, now: float) -> Circuit:
    """After the limit was reached, or an ejection."""
    return _after(circuit, Event.TRIP, settings, now)


def succeeded(circuit: Circuit, settings: Breaker, now: float) -> Circuit:
    """After a success: of a request, or of the trial."""
    after = TRANSITIONS[circuit.state, Event.SUCCESS]
    if after is not State.CLOSED:
        return circuit
    if circuit.state is State.CLOSED:
        return replace(circuit, failed_at=())
    return Circuit(failed_at=(now,) * (settings.failures - 1), until=now + settings.open_max, openings=circuit.openings)


def tried(circuit: Circuit, now: float, *, wait: float) -> Circuit | None:
    """With a trial under way, whose result is waited for ``wait`` seconds; ``None`` where none may begin now."""
    after = TRANSITIONS[circuit.state, Event.TIME]
    if after is not State.HALF_OPEN or now < circuit.until:
        return None
    return replace(circuit, state=after, until=now + wait)


def open_seconds(openings: int, settings: Breaker) -> float:
    """How long the opening lasts that is this many in a row."""
    return min(settings.open * 2.0 ** min(openings - 1, 64), settings.open_max)


def _after(circuit: Circuit, event: Event, settings: Breaker, now: float) -> Circuit:
    after = TRANSITIONS[circuit.state, event]
    if after is not State.OPEN or circuit.state is State.OPEN:
        return circuit
    in_a_row = circuit.state is State.HALF_OPEN or now < circuit.until
    openings = circuit.openings + 1 if in_a_row else 1
    return Circuit(state=after, until=now + open_seconds(openings, settings), openings=openings)
