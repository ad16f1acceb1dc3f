"""Prometheus series from request records and from what is waiting and held at the moment of a scrape.

Series that OpenTelemetry's GenAI conventions name keep those names in Prometheus form, with a ``tier`` label; the rest
starts with ``tiergate_``. Labels are bounded sets from the tier map and from fixed words: never a key, an agent's name
or an address. ``docs/reference/metrics.md`` lists them all.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from gateway.exchange import RequestRecord
from tiers.price import MICRODOLLARS_PER_DOLLAR
from tiers.tiermap import TierMap

_SECONDS = (
    0.01,
    0.02,
    0.04,
    0.08,
    0.16,
    0.32,
    0.64,
    1.28,
    2.56,
    5.12,
    10.24,
    20.48,
    40.96,
    81.92,
    163.84,
    327.68,
    655.36,
)
"""OpenTelemetry's buckets for durations, continued upwards: a cold start takes minutes."""
_TOKEN_SECONDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_FIRST_TOKEN_SECONDS = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0, 120.0,
    300.0,
)  # fmt: skip
_TOKENS = tuple(4**power for power in range(14))
_OVERHEAD_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Reading(Protocol):
    """What a scrape shows of one budget of one owner; amounts in ``unit``, ``USD`` in microdollars."""

    @property
    def budget(self) -> str:
        """The budget's name."""

    @property
    def unit(self) -> str:
        """``USD``, ``tokens`` or ``requests``."""

    @property
    def settled(self) -> int:
        """Booked in the current window."""

    @property
    def held(self) -> int:
        """Reserved by requests that have not ended."""


class Metrics:
    """The series of one gateway process, in a registry of their own."""

    def __init__(self, tier_map: TierMap, *, version: str) -> None:
        self.registry = CollectorRegistry()
        self._build_standard(self.registry)
        self._build_times(self.registry)
        self._build_counters(self.registry)
        self._build_gauges(self.registry)
        self._build = Gauge("tiergate_build_info", "The gateway's version.", ("version",), registry=self.registry)
        self._build.labels(version).set(1)
        for budget in tier_map.budgets:
            self._budget_limit.labels(budget.name, budget.unit).set(_base_unit(budget.limit, budget.unit))
        for tier in tier_map.tiers.values():
            self._slots.labels(tier.name).set(tier.slots)

    def _build_counters(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "tiergate_requests",
            "Requests by how they ended.",
            ("tier", "endpoint", "outcome", "reason"),
            registry=registry,
        )
        self._cost = Counter(
            "tiergate_cost_usd", "Cost of requests in US dollars.", ("tier", "endpoint"), registry=registry
        )
        self._gpu = Counter(
            "tiergate_gpu_seconds",
            "GPU seconds attributed to requests.",
            ("tier", "endpoint", "state"),
            registry=registry,
        )
        self._uncounted = Counter(
            "tiergate_usage_counted_locally",
            "Requests whose endpoint reported no usage, so that the gateway counted.",
            ("tier", "endpoint"),
            registry=registry,
        )
        self._attempts = Counter(
            "tiergate_extra_attempts", "Attempts beyond a request's first.", ("tier",), registry=registry
        )
        self._refused = Counter(
            "tiergate_refusals",
            "Requests refused by the gateway itself, by error code.",
            ("tier", "code"),
            registry=registry,
        )

    def _build_standard(self, registry: CollectorRegistry) -> None:
        """Under OpenTelemetry's names."""
        call = ("tier", "gen_ai_operation_name")
        self._tokens = Histogram(
            "gen_ai_client_token_usage",
            "Tokens per request, by type.",
            (*call, "gen_ai_token_type"),
            buckets=_TOKENS,
            registry=registry,
        )
        self._duration = Histogram(
            "gen_ai_server_request_duration_seconds",
            "From the request's arrival to the end of its answer.",
            (*call, "error_type"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._first_token = Histogram(
            "gen_ai_server_time_to_first_token_seconds",
            "From the request's arrival to the first content of a streamed answer.",
            call,
            buckets=_FIRST_TOKEN_SECONDS,
            registry=registry,
        )
        self._per_token = Histogram(
            "gen_ai_server_time_per_output_token_seconds",
            "Time per output token after the first, of streamed answers.",
            call,
            buckets=_TOKEN_SECONDS,
            registry=registry,
        )

    def _build_times(self, registry: CollectorRegistry) -> None:
        self._queue_delay = Histogram(
            "tiergate_queue_delay_seconds",
            "Wait in the gateway's own admission queue.",
            ("tier",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._overhead = Histogram(
            "tiergate_overhead_seconds",
            "Time that the gateway itself added: neither in its queue nor at the endpoint.",
            ("tier",),
            buckets=_OVERHEAD_SECONDS,
            registry=registry,
        )

    def _build_gauges(self, registry: CollectorRegistry) -> None:
        budget = ("budget", "unit")
        self._budget_limit = Gauge(
            "tiergate_budget_limit", "A budget's limit per owner and window.", budget, registry=registry
        )
        self._budget_settled = Gauge(
            "tiergate_budget_settled",
            "Settled in the current window, over all owners.",
            budget,
            registry=registry,
        )
        self._budget_held = Gauge(
            "tiergate_budget_held", "Held by open reservations, over all owners.", budget, registry=registry
        )
        self._slots = Gauge("tiergate_slots", "Slots of a tier over all processes.", ("tier",), registry=registry)
        self._slots_held = Gauge("tiergate_slots_held", "Slots held over all processes.", ("tier",), registry=registry)
        self._queue = Gauge(
            "tiergate_queue_length",
            "Requests that wait for a slot in this process.",
            ("tier",),
            registry=registry,
        )
        self._unsettled = Gauge(
            "tiergate_settlements_waiting", "Settlements that wait for the store.", registry=registry
        )
        self._store_up = Gauge("tiergate_store_up", "Whether the store answered at this scrape.", registry=registry)

    def observe(self, record: RequestRecord) -> None:
        """Count a request that ended."""
        tier, operation = record.tier, record.operation
        self._requests.labels(tier, record.endpoint, record.outcome, record.reason.partition(":")[0]).inc()
        self._duration.labels(tier, operation, record.error).observe(record.duration_seconds)
        for charge in record.charges:
            self._cost.labels(charge.tier, charge.endpoint).inc(charge.cost_microdollars / MICRODOLLARS_PER_DOLLAR)
            self._gpu.labels(charge.tier, charge.endpoint, "busy").inc(charge.gpu_seconds)
        if record.attempts == 0 or record.upstream_seconds is None:
            if record.error:
                self._refused.labels(tier, record.error).inc()
            return
        waited = record.queue_delay_seconds or 0.0
        self._queue_delay.labels(tier).observe(waited)
        if record.attempts > 1:
            self._attempts.labels(tier).inc(record.attempts - 1)
        else:
            self._overhead.labels(tier).observe(max(0.0, record.duration_seconds - waited - record.upstream_seconds))
        if record.outcome != "ok":
            return
        self._tokens.labels(tier, operation, "input").observe(record.input_tokens)
        self._tokens.labels(tier, operation, "output").observe(record.output_tokens)
        if not record.usage_reported:
            self._uncounted.labels(tier, record.endpoint).inc()
        first = record.time_to_first_token_seconds
        if record.stream and first is not None:
            self._first_token.labels(tier, operation).observe(first)
            if record.output_tokens > 1:
                self._per_token.labels(tier, operation).observe(
                    (record.duration_seconds - first) / (record.output_tokens - 1)
                )

    def render(
        self,
        *,
        balances: Sequence[Reading] | None,
        slots_held: Mapping[str, int],
        queue_lengths: Mapping[str, int],
        unsettled: int,
    ) -> bytes:
        """The exposition text; ``balances`` is ``None`` where the store did not answer."""
        self._store_up.set(balances is not None)
        self._unsettled.set(unsettled)
        for tier, length in queue_lengths.items():
            self._queue.labels(tier).set(length)
        for tier, held in slots_held.items():
            self._slots_held.labels(tier).set(held)
        if balances is not None:
            self._set_budgets(balances)
        return generate_latest(self.registry)

    def _set_budgets(self, balances: Sequence[Reading]) -> None:
        self._budget_settled.clear()
        self._budget_held.clear()
        for balance in balances:
            labels = (balance.budget, balance.unit)
            self._budget_settled.labels(*labels).inc(_base_unit(balance.settled, balance.unit))
            self._budget_held.labels(*labels).inc(_base_unit(balance.held, balance.unit))


def _base_unit(amount: int, unit: str) -> float:
    return amount / MICRODOLLARS_PER_DOLLAR if unit == "USD" else amount
