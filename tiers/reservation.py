"""The life of a reservation, as a table.

A reservation holds what an attempt may cost at most, from before it is sent until its real cost is known.
Then exactly one of three things happens to it, once:

    settle    the attempt ended, its cost is known: that is booked, the rest goes back
    release   the attempt never reached the endpoint's work: all goes back
    expire    nobody said in time (the process died): all is booked, since the endpoint may have done the work

               ┌─ settle, book ─▶ settled ◀─┐
    ┌▶ reserved├─ release ──────▶ released ─┘ book
    │     │    └─ expire ───────▶ expired
    └─────┘
    extend, renew

Nothing is charged twice: what is settled or expired stays so, and a late settlement finds out that it is late: what it
would have booked was booked in full by the expiry.

Before it ends, any number of times:

    extend    more is held than before, since the attempt goes on
    renew     its slots are kept for another while; what is held stays as it is

``book`` is for an attempt that was let in while the ledger could not be asked. Where its reservation got there all the
same, that is settled; where none did, the cost is booked without one. So it is where the reservation was released,
since nothing was charged then: whoever gives up on an answer of the ledger releases what may have been reserved.
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

    EXTEND = "extend"
    RENEW = "renew"
    SETTLE = "settle"
    BOOK = "book"
    RELEASE = "release"
    EXPIRE = "expire"


TRANSITIONS: Mapping[tuple[State, Verb], State] = MappingProxyType(
    {
        (State.RESERVED, Verb.EXTEND): State.RESERVED,
        (State.RESERVED, Verb.RENEW): State.RESERVED,
        (State.RESERVED, Verb.SETTLE): State.SETTLED,
        (State.RESERVED, Verb.BOOK): State.SETTLED,
        (State.RESERVED, Verb.RELEASE): State.RELEASED,
        (State.RESERVED, Verb.EXPIRE): State.EXPIRED,
        (State.RELEASED, Verb.BOOK): State.SETTLED,
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
