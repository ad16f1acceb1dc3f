"""What requests with the same labels are counted on, and the notes that good ones leave until they are counted.

Counting a request touches some thirty cache lines that belong to its tier alone. In a large installation all of them
have left the processor's cache since the tier's last request, and to fetch them costs more than to count. A note is two
lines, near what leads to it: they are counted ``NOTES`` at a time, or as soon as somebody looks.
"""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import Metric

from gateway.record import RequestRecord
from gateway.telemetry.series import Count, Distribution
from tiers.price import MICRODOLLARS_PER_DOLLAR

NOTES: Final = 16
"""How many requests with the same labels are counted together."""
_NOT_STREAMED: Final = -1.0


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

    def are_of(self, record: RequestRecord) -> bool:
        """Whether ``record`` of the same endpoint has the same labels."""
        return (
            self.tier == record.tier
            and self.outcome == record.outcome
            and self.operation == record.operation
            and self.reason == record.reason
            and self.error == record.error
        )

    def note(self, record: RequestRecord, upstream_seconds: float) -> None:
        """Take note of a request with one attempt and a good answer of which the endpoint reported the usage.

        ``upstream_seconds`` is what is not the gateway's own time, but for the wait for a slot.
        """
        note = self._free
        if note is None:
            self.count()
            note = self._first
        self._free = note.next
        note.duration = record.duration_seconds
        note.queued = record.queue_delay_seconds or 0.0
        note.upstream = upstream_seconds
        first = record.time_to_first_token_seconds
        note.first_token = first if record.stream and first is not None else _NOT_STREAMED
        note.gpu_seconds = record.gpu_seconds
        note.cost_microdollars = record.cost_microdollars
        note.input_tokens = record.input_tokens
        note.output_tokens = record.output_tokens

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
