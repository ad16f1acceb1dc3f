"""The one record that is left of a request: what ``observe`` hands to metrics, the log line and the record store."""

import msgspec


class Charge(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one attempt cost, to who served it."""

    tier: str
    endpoint: str
    gpu_seconds: float
    cost_microdollars: int


class RunpodTrace(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where the time went at Runpod, of the last attempt but for ``held_seconds``; durations are seconds."""

    held_seconds: float
    """How long the request waited for a worker to wake, before it was sent; over all attempts."""
    way: str
    """``route``, ``job`` or ``balancer``; empty where nothing was sent."""
    cold: bool
    """Whether no worker was awake when it was sent."""
    job: str
    worker: str
    tries: int
    worker_delay_seconds: float | None
    """Queue and cold start, as Runpod says."""
    execution_seconds: float | None
    """How long the worker was busy with it, as Runpod says."""


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
    runpod: RunpodTrace | None = None
    """``None`` where the request had nothing to do with Runpod."""
    team: str = ""
    refused_by: str = ""
    """The budget or limit, by its name, that refused the request, or sent it to a cheaper tier."""
    shadowed: tuple[str, ...] = ()
    """Budgets that only report and had not enough left."""
