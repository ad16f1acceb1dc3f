"""Counts records, one after the other, by what is asked."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from gateway.record import Charge, RunpodTrace
from gateway.usage.question import Question
from gateway.usage.spread import Spread

GROUPS_MAX: Final = 10_000
"""Groups that are told apart; what else comes is counted together."""
OTHER: Final = "(other)"
_REFUSED: Final = frozenset({"budget_exhausted", "rate_limited", "shed", "unauthorized"})
_FAILED: Final = frozenset({"upstream_error", "timeout"})


def exact(millionths: int) -> str:
    """Millionths as a decimal number, with all six places."""
    whole, rest = divmod(abs(millionths), 1_000_000)
    return f"{'-' * (millionths < 0)}{whole}.{rest:06d}"


class SeenRecord(msgspec.Struct, frozen=True, gc=False):
    """What is read of a record; also of those that were written before a field was added."""

    received_unix: float
    model: str
    key: str
    agent: str
    flow: str
    run: str
    step: str
    tier: str
    endpoint: str
    outcome: str
    queue_delay_seconds: float | None
    time_to_first_token_seconds: float | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    charges: tuple[Charge, ...]
    runpod: RunpodTrace | None = None
    team: str = ""


class Sums:
    """What one group comes to."""

    __slots__ = (
        "cached_tokens", "cost_microdollars", "failed", "gpu_microseconds", "input_tokens", "output_tokens",
        "queue_delay", "reasoning_tokens", "refused", "requests", "ttft", "worker_delay",
    )  # fmt: skip

    def __init__(self) -> None:
        self.requests = self.refused = self.failed = 0
        self.input_tokens = self.output_tokens = self.cached_tokens = self.reasoning_tokens = 0
        self.gpu_microseconds = self.cost_microdollars = 0
        self.ttft, self.queue_delay, self.worker_delay = Spread(), Spread(), Spread()

    def count(self, record: SeenRecord) -> None:
        """Count a request, but for what its attempts cost."""
        self.requests += 1
        self.refused += record.outcome in _REFUSED
        self.failed += record.outcome in _FAILED
        self.input_tokens += record.input_tokens
        self.output_tokens += record.output_tokens
        self.cached_tokens += record.cached_tokens
        self.reasoning_tokens += record.reasoning_tokens
        worker = None if record.runpod is None else record.runpod.worker_delay_seconds
        for spread, seconds in (
            (self.ttft, record.time_to_first_token_seconds),
            (self.queue_delay, record.queue_delay_seconds),
            (self.worker_delay, worker),
        ):
            if seconds is not None:
                spread.add(seconds)

    def charge(self, charge: Charge) -> None:
        """Count what an attempt cost."""
        self.gpu_microseconds += round(charge.gpu_seconds * 1_000_000)
        self.cost_microdollars += charge.cost_microdollars

    def shown(self) -> dict[str, Any]:
        """By the names that the outside sees. Money is exact: an integer and a decimal number as text."""
        return {
            "requests": self.requests,
            "refused": self.refused,
            "failed": self.failed,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cached_tokens": self.cached_tokens,
            "reasoning_tokens": self.reasoning_tokens,
            "gpu_seconds": exact(self.gpu_microseconds),
            "cost_microdollars": self.cost_microdollars,
            "cost_usd": exact(self.cost_microdollars),
            "ttft_p50_seconds": self.ttft.quantile(0.5),
            "ttft_p95_seconds": self.ttft.quantile(0.95),
            "queue_delay_p50_seconds": self.queue_delay.quantile(0.5),
            "queue_delay_p95_seconds": self.queue_delay.quantile(0.95),
            "worker_delay_p50_seconds": self.worker_delay.quantile(0.5),
            "worker_delay_p95_seconds": self.worker_delay.quantile(0.95),
        }


COLUMNS: Final = tuple(Sums().shown())
"""What is told of each group, after what it is counted by."""


class Tally:
    """Counts records for a question. What an attempt cost counts to the tier and endpoint that served it."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._by = [_READ[name] for name in question.by]
        self._only = tuple([(name, value) for name, value in question.only.items() if name != "tier"])
        self._tier = question.only.get("tier")
        self._groups: dict[tuple[str, ...], Sums] = {}
        self._decode = msgspec.json.Decoder(SeenRecord).decode

    def add(self, encoded: Iterable[bytes]) -> None:
        """Count those of these records that are asked for."""
        since, until, only = self._question.since_unix, self._question.until_unix, self._only
        for one in encoded:
            record = self._decode(one)
            if (
                since <= record.received_unix
                and (until is None or record.received_unix < until)
                and all(getattr(record, name) == value for name, value in only)
            ):
                self._count(record)

    def rows(self) -> list[dict[str, Any]]:
        """The groups, the dearest first."""
        groups = sorted(self._groups.items(), key=lambda group: (-group[1].cost_microdollars, group[0]))
        by = self._question.by
        return [dict(zip(by, names, strict=True)) | sums.shown() for names, sums in groups]

    def _count(self, record: SeenRecord) -> None:
        if self._tier is None or record.tier == self._tier:
            self._sums(record, record.tier, record.endpoint).count(record)
        for charge in record.charges:
            if self._tier is None or charge.tier == self._tier:
                self._sums(record, charge.tier, charge.endpoint).charge(charge)

    def _sums(self, record: SeenRecord, tier: str, endpoint: str) -> Sums:
        names = tuple([read(record, tier, endpoint) for read in self._by])
        sums = self._groups.get(names)
        if sums is None:
            if len(self._groups) >= GROUPS_MAX:
                names = (OTHER,) * len(names)
            sums = self._groups.setdefault(names, Sums())
        return sums


def _field(name: str) -> Callable[[SeenRecord, str, str], str]:
    def read(record: SeenRecord, _tier: str, _endpoint: str) -> str:
        value: str = getattr(record, name)
        return value

    return read


def _time(form: str) -> Callable[[SeenRecord, str, str], str]:
    return lambda record, _tier, _endpoint: datetime.fromtimestamp(record.received_unix, UTC).strftime(form)


_READ: Final[Mapping[str, Callable[[SeenRecord, str, str], str]]] = {
    **{name: _field(name) for name in ("key", "team", "agent", "flow", "run", "step", "model", "outcome")},
    "tier": lambda _record, tier, _endpoint: tier,
    "endpoint": lambda _record, _tier, endpoint: endpoint,
    "day": _time("%Y-%m-%d"),
    "hour": _time("%Y-%m-%dT%H:00Z"),
}
