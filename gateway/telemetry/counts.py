"""What requests with the same labels are counted on, and the notes that good ones leave until they are counted.

Counting a request touches some thirty cache lines that belong to its tier alone. In a large installation all of them
have left the processor's cache since the tier's last request, and to fetch them costs more than to count. A note is two
lines, near what leads to it: they are counted ``NOTES`` at a time, or as soon as somebody looks.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, cast

import msgspec
from prometheus_client.core import Metric

from gateway.record import RequestRecord
from gateway.telemetry.series import Count, Distribution
from tiers.price import MICRODOLLARS_PER_DOLLAR

NOTES: Final = 16
"""How many requests with the same labels are counted together."""
_NOT_STREAMED: Final = -1.0

Fields = tuple[Any, ...]
"""What a record holds, in its order: read from here an attribute takes a tenth of the time."""
_FIELDS: Final = RequestRecord.__struct_fields__
_TIER: Final = _FIELDS.index("tier")
ENDPOINT: Final = _FIELDS.index("endpoint")
_OUTCOME: Final = _FIELDS.index("outcome")
_ATTEMPTS: Final = _FIELDS.index("attempts")
_UPSTREAM: Final = _FIELDS.index("upstream_seconds")
_USAGE_REPORTED: Final = _FIELDS.index("usage_reported")
RUNPOD: Final = _FIELDS.index("runpod")
_REFUSED_BY: Final = _FIELDS.index("refused_by")
_SHADOWED: Final = _FIELDS.index("shadowed")
_OPERATION: Final = _FIELDS.index("operation")
_REASON: Final = _FIELDS.index("reason")
_ERROR: Final = _FIELDS.index("error")
_STREAM: Final = _FIELDS.index("stream")
_DURATION: Final = _FIELDS.index("duration_seconds")
_QUEUED: Final = _FIELDS.index("queue_delay_seconds")
_FIRST_TOKEN: Final = _FIELDS.index("time_to_first_token_seconds")
_GPU: Final = _FIELDS.index("gpu_seconds")
_COST: Final = _FIELDS.index("cost_microdollars")
_INPUT: Final = _FIELDS.index("input_tokens")
_OUTPUT: Final = _FIELDS.index("output_tokens")
"""Where in ``Fields`` what stands."""

fields_of: Final[Callable[[RequestRecord], Fields]] = msgspec.structs.astuple
"""All that a record holds."""


def usual_upstream(fields: Fields) -> float:
    """How long a request was at its endpoint that had one attempt and a good answer, of which the endpoint reported the
    usage; below zero of every other.
    """
    upstream = fields[_UPSTREAM]
    if (
        upstream is None
        or cast("int", fields[_ATTEMPTS]) != 1
        or cast("str", fields[_OUTCOME]) != "ok"
        or not cast("bool", fields[_USAGE_REPORTED])
    ):
        return -1.0
    return cast("float", upstream)


def is_limited(fields: Fields) -> bool:
    """Whether a budget or limit refused the request, sent it elsewhere, or only reports that it had not enough left."""
    return bool(fields[_REFUSED_BY]) or bool(fields[_SHADOWED])


class Owed:
    """What charges of the same endpoint are counted on."""

    __slots__ = ("cost", "gpu")

    def __init__(self, *, cost: Count, gpu: Count) -> None:
        self.cost = cost
        self.gpu = gpu

    def charge(self, microdollars: int, gpu_seconds: float) -> None:
        """Count one charge."""
        self.cost.value += microdollars / MICRODOLLARS_PER_DOLLAR
        self.gpu.value += gpu_seconds


class _Note:
    """What a good request leaves to be counted, in the units of its record; the ``next`` one is written after it."""

    __slots__ = (
        "cost_microdollars", "duration", "first_token", "gpu_seconds", "input_tokens", "next", "output_tokens",
        "queued", "upstream",
    )  # fmt: skip

    def __init__(self, following: "_Note | None") -> None:
        self.next = following
        self.duration = 0.0
        self.queued = 0.0
        self.upstream = 0.0
        self.first_token = _NOT_STREAMED
        self.gpu_seconds = 0.0
        self.cost_microdollars = 0
        self.input_tokens = 0
        self.output_tokens = 0


class Counts:
    """The series of one combination of labels.

    Attributes:
        tier, operation, outcome, reason, error: The labels; the endpoint's name leads here.
        owed: With the first charge.
    """

    __slots__ = (
        "_first", "_free", "duration", "error", "first_token", "input_tokens", "operation", "outcome", "output_tokens",
        "overhead", "owed", "per_token", "queue_delay", "reason", "requests", "tier",
    )  # fmt: skip

    def __init__(
        self,
        record: RequestRecord,
        *,
        requests: Count,
        duration: Distribution,
        queue_delay: Distribution,
        overhead: Distribution,
        input_tokens: Distribution,
        output_tokens: Distribution,
        first_token: Distribution,
        per_token: Distribution,
    ) -> None:
        """Those of ``record``'s labels."""
        first = _Note(None)
        for _ in range(NOTES - 1):
            first = _Note(first)
        self._free: _Note | None = first
        self.tier = record.tier
        self.operation = record.operation
        self.outcome = record.outcome
        self.reason = record.reason
        self.error = record.error
        self.owed: Owed | None = None
        self.requests = requests
        self.duration = duration
        self.queue_delay = queue_delay
        self.overhead = overhead
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens
        self.first_token = first_token
        self.per_token = per_token
        self._first = first

    def are_of(self, fields: Fields) -> bool:
        """Whether another request of the same endpoint has the same labels."""
        return (
            self.tier == cast("str", fields[_TIER])
            and self.outcome == cast("str", fields[_OUTCOME])
            and self.operation == cast("str", fields[_OPERATION])
            and self.reason == cast("str", fields[_REASON])
            and self.error == cast("str", fields[_ERROR])
        )

    def note(self, fields: Fields, upstream_seconds: float) -> None:
        """Take note of a request with one attempt and a good answer of which the endpoint reported the usage.

        ``upstream_seconds`` is what is not the gateway's own time, but for the wait for a slot.
        """
        note = self._free
        if note is None:
            self.count()
            note = self._first
        self._free = note.next
        queued, first = fields[_QUEUED], fields[_FIRST_TOKEN]
        note.duration = cast("float", fields[_DURATION])
        note.queued = cast("float", queued) if queued is not None else 0.0
        note.upstream = upstream_seconds
        streamed = cast("bool", fields[_STREAM]) and first is not None
        note.first_token = cast("float", first) if streamed else _NOT_STREAMED
        note.gpu_seconds = cast("float", fields[_GPU])
        note.cost_microdollars = cast("int", fields[_COST])
        note.input_tokens = cast("int", fields[_INPUT])
        note.output_tokens = cast("int", fields[_OUTPUT])

    def count(self) -> None:
        """Count what was noted."""
        note: _Note | None = self._first
        free = self._free
        while note is not None and note is not free:
            self.requests.value += 1
            self.duration.observe(note.duration)
            self.queue_delay.observe(note.queued)
            overhead = note.duration - note.queued - note.upstream
            self.overhead.observe(overhead if overhead > 0 else 0.0)
            self.input_tokens.observe(note.input_tokens)
            self.output_tokens.observe(note.output_tokens)
            if self.owed is not None:
                self.owed.charge(note.cost_microdollars, note.gpu_seconds)
            if note.first_token >= 0:
                self.streamed(note.duration, note.first_token, note.output_tokens)
            note = note.next
        self._free = self._first

    def streamed(self, duration: float, first_token: float, output_tokens: int) -> None:
        """Count the times of a streamed answer."""
        self.first_token.observe(first_token)
        if output_tokens > 1:
            self.per_token.observe((duration - first_token) / (output_tokens - 1))


class CountFirst:
    """A collector that shows nothing: it stands before all others, so that they show what was noted until now."""

    def __init__(self, counts: dict[tuple[str, ...], Counts]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """Count what was noted."""
        for each in self._counts.values():
            each.count()
        return iter(())
