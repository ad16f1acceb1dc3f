"""What is known of one request so far, and the one record that is left when it ended.

``Exchange`` is filled step by step on the request's way (see ``gateway.pipeline``); ``RequestRecord`` is the frozen
summary that ``observe`` hands to metrics, the log line and the record store.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from gateway.wire.call import Call
from gateway.wire.operations import Operation
from tiers.routing import Candidate
from tiers.tiermap import Endpoint, Tier
from tiers.usage import Usage


class Clock(Protocol):
    """Where the gateway's time comes from; tests pass one that they move."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""

    def unix(self) -> float:
        """Seconds since 1970 in UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who calls, in CrewAI's nouns, from the ``x-tiergate-*`` headers; empty where a header was not sent."""

    agent: str = ""
    flow: str = ""
    run: str = ""
    step: str = ""
    task: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The authenticated party: a key of the tier map, known by its name.

    ``tiers`` is ``None`` where the key may use every tier.
    """

    name: str
    tiers: frozenset[str] | None = None


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One try of a request at one endpoint. Times are seconds of the monotonic clock, ``None`` until they happened."""

    tier: Tier
    reason: str
    endpoint: Endpoint | None = None
    """Chosen once the attempt is admitted."""
    answer_bound: int | None = None
    """The bound on the answer's tokens that the gateway sets, since the caller set none."""
    queued_seconds: float = 0.0
    admitted_at: float | None = None
    sent_at: float | None = None
    first_byte_at: float | None = None
    first_token_at: float | None = None
    ended_at: float | None = None
    upstream_status: int | None = None
    gpu_seconds: float = 0.0
    cost_microdollars: int = 0
    error: str = ""
    """The error's code where this attempt failed."""

    @property
    def endpoint_name(self) -> str:
        """The endpoint's name, empty while none is chosen."""
        return self.endpoint.name if self.endpoint is not None else ""


@dataclass(slots=True, kw_only=True)
class Exchange:
    """All we know of one request so far. Times as in ``Attempt``."""

    request_id: str
    received_at: float
    received_unix: float
    operation: Operation
    identity: Identity
    call: Call | None = None
    caller: Caller | None = None
    candidates: Sequence[Candidate] = ()
    attempts: list[Attempt] = field(default_factory=list)
    responded: bool = False
    """Whether the response's first byte left for the client: the border of fallback."""
    status: int = 0
    outcome: str = ""
    error: str = ""
    usage: Usage | None = None
    usage_reported: bool = False
    """Whether ``usage`` came from the endpoint; otherwise the gateway counted it."""
    ended_at: float | None = None

    @property
    def attempt(self) -> Attempt | None:
        """The latest attempt, or ``None`` before the first."""
        return self.attempts[-1] if self.attempts else None


class Charge(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one attempt cost, to who served it."""

    tier: str
    endpoint: str
    gpu_seconds: float
    cost_microdollars: int


class RequestRecord(msgspec.Struct, frozen=True, gc=False):
    """How one request ended; one per request, whatever the ending.

    Times and durations are seconds, whole microseconds, ``None`` where the moment never came. Holds no key, no prompt
    and no answer. A struct and no dataclass, since every one is encoded as JSON; it holds nothing that could refer
    back to it, so the garbage collector need not look at it.
    """

    request_id: str
    received_unix: float
    operation: str
    stream: bool
    model: str
    key: str
    agent: str
    flow: str
    run: str
    step: str
    task: str
    tier: str
    endpoint: str
    reason: str
    attempts: int
    status: int
    outcome: str
    error: str
    queue_delay_seconds: float | None
    time_to_first_byte_seconds: float | None
    time_to_first_token_seconds: float | None
    duration_seconds: float
    upstream_seconds: float | None
    """From sending to the endpoint until its answer ended."""
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    usage_reported: bool
    gpu_seconds: float
    cost_microdollars: int
    charges: tuple[Charge, ...]
    """What the sums consist of: one for every attempt that an endpoint may have worked on."""
