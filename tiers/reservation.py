"""The life of a reservation, as a table.

A reservation holds what an attempt may cost at most, from before it is sent until its real cost is known.
Then exactly one of three things happens to it, once:

    settle    the attempt ended, its cost is known: that is booked, the rest goes back
    release   the attempt never reached the endpoint's work: all goes back
    expire    nobody said in time (the process died): all is booked, since the endpoint may have done the work

            ┌─ settle ──▶ settled
    reserved├─ release ─▶ released
            └─ expire ──▶ expired

Nothing leaves the three on the right. So a reservation is never counted twice, and a late settlement finds
out that it is late: what it would have booked was booked in full by the expiry.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """Where a reservation is in its life."""

    RESERVED = "reserved"
    SETTLED = "settled"
    RELEASED = "released"
    EXPIRED = "expired"


class Verb(StrEnum):
    """What can happen to a reservation."""

    SETTLE = "settle"
    RELEASE = "release"
    EXPIRE = "expire"


TRANSITIONS: Mapping[tuple[State, Verb], State] = MappingProxyType(
    {
        (State.RESERVED, Verb.SETTLE): State.SETTLED,
        (State.RESERVED, Verb.RELEASE): State.RELEASED,
        (State.RESERVED, Verb.EXPIRE): State.EXPIRED,
    }
)


class TransitionRefused(ValueError):
    """The reservation is over already. ``state`` is how it ended, ``verb`` what came too late."""

    def __init__(self, state: State, verb: Verb) -> None:
        super().__init__(f"a reservation that is {state} cannot {verb}")
        self.state = state
        self.verb = verb


def advance(state: State, verb: Verb) -> State:
    """The state after ``verb``.

    Raises:
        TransitionRefused: The table has no such step.
    """
    try:
        return TRANSITIONS[state, verb]
    except KeyError:
        raise TransitionRefused(state, verb) from None
