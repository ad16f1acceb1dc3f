"""What is known of one request so far, filled step by step on its way (see ``gateway.pipeline``)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.journey import Journey
from gateway.wire.call import Call
from gateway.wire.header_lines import NO_LINES, HeaderLines
from gateway.wire.identity import NOBODY, Identity
from gateway.wire.operations import Operation
from gateway.wire.unfinished import Unfinished
from tiers.routing import Candidate
from tiers.tiermap import Budget, Concurrency, Tier
from tiers.usage import Usage


class Clock(Protocol):
    """Where the gateway's time comes from; tests pass one that they move."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""

    def unix(self) -> float:
        """Seconds since 1970 in UTC."""


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class Caller:
    """The authenticated party: a key of the tier map, known by its name.

    ``tiers`` is ``None`` where the key may use every tier. Not frozen for the sake of ``latest`` alone.
    """

    name: str
    tiers: frozenset[str] | None = None
    team: str = ""
    agents: tuple[str, ...] | None = None
    """Shell globs of the agents that may use the key; ``None`` is all."""
    expires_unix: float | None = None
    budgets: tuple[Budget, ...] = ()
    """The key's own, beside the tier map's."""
    concurrency: tuple[Concurrency, ...] = ()
    latest: Any = field(default=None, repr=False, compare=False)
    """What ``admit`` keeps here of the latest request, where the next one finds it without a look-up."""


class Attempt:
    """One try of a request at one endpoint. Times are seconds of the monotonic clock, ``None`` until they happened.

    Attributes:
        tier, reason: Of the candidate.
        endpoint_name: Of the endpoint, which is chosen once the attempt is admitted; empty until then.
        served: Headers that say who served it and why, once the endpoint is chosen.
        answer_bound: The bound on the answer's tokens that the gateway sets, since the caller set none.
        begun: Whether its answer began to be passed on.
        queued_seconds: The wait for a slot.
        usage: What it used itself; ``None`` while nobody knows. The exchange's is the whole answer's.
        error: The error's code where this attempt failed.
        journey: What Runpod told of it; ``None`` where it was not there.
    """

    __slots__ = (
        "admitted_at", "answer_bound", "begun", "cost_microdollars", "ended_at", "endpoint_name", "error",
        "first_byte_at", "first_token_at", "gpu_seconds", "journey", "queued_seconds", "reason", "sent_at", "served",
        "tier", "upstream_status", "usage",
    )  # fmt: skip

    def __init__(self, *, tier: Tier, reason: str, answer_bound: int | None = None) -> None:
        self.tier = tier
        self.reason = reason
        self.answer_bound = answer_bound
        self.begun = False
        self.endpoint_name = ""
        self.served: HeaderLines = NO_LINES
        self.queued_seconds = 0.0
        self.admitted_at: float | None = None
        self.sent_at: float | None = None
        self.first_byte_at: float | None = None
        self.first_token_at: float | None = None
        self.ended_at: float | None = None
        self.upstream_status: int | None = None
        self.gpu_seconds = 0.0
        self.cost_microdollars = 0
        self.error = ""
        self.usage: Usage | None = None
        self.journey: Journey | None = None


class Exchange:
    """All we know of one request so far. Times as in ``Attempt``.

    Attributes:
        at_runpod: Whether it was to go to an endpoint whose workers may sleep.
        received_unix: When it was received, in Unix seconds.
        candidates: The tiers that may serve it, in order.
        due: When its deadline ends the try that is under way.
        held: While it waits for a worker to wake: in how many seconds it would pay to come back. Kept where it waits
            no longer because its time is over.
        held_seconds: How long it has waited for that.
        responded: Whether the response's first byte left for the client: the border of fallback.
        refused_by: The budget or limit that refused it, by name, or sent it to a cheaper tier.
        shadowed: Budgets that only report and had not enough left.
        unfinished: A stream that can be continued elsewhere if it breaks; ``None`` where there is none.
        usage_reported: Whether ``usage`` came from the endpoint; otherwise the gateway counted it.
    """

    __slots__ = (
        "at_runpod", "attempts", "call", "caller", "candidates", "due", "ended_at", "error", "held", "held_seconds",
        "identity", "operation", "outcome", "received_at", "received_unix", "refused_by", "request_id",
        "responded", "shadowed", "status", "unfinished", "usage", "usage_reported",
    )  # fmt: skip

    def __init__(
        self,
        *,
        request_id: str,
        received_at: float,
        received_unix: float,
        operation: Operation,
        identity: Identity = NOBODY,
    ) -> None:
        self.request_id = request_id
        self.received_at = received_at
        self.received_unix = received_unix
        self.operation = operation
        self.identity = identity
        self.call: Call | None = None
        self.caller: Caller | None = None
        self.candidates: Sequence[Candidate] = ()
        self.attempts: list[Attempt] = []
        self.due = math.inf
        self.at_runpod = False
        self.held: float | None = None
        self.held_seconds = 0.0
        self.responded = False
        self.refused_by = ""
        self.shadowed: tuple[str, ...] = ()
        self.unfinished: Unfinished | None = None
        self.status = 0
        self.outcome = ""
        self.error = ""
        self.usage: Usage | None = None
        self.usage_reported = False
        self.ended_at: float | None = None

    @property
    def attempt(self) -> Attempt | None:
        """The latest attempt, or ``None`` before the first."""
        return self.attempts[-1] if self.attempts else None
