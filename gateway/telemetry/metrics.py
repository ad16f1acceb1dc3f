"""Prometheus series from request records and from what is waiting and held at the moment of a scrape.

Series that OpenTelemetry's GenAI conventions name keep those names in Prometheus form, with a ``tier`` label; the rest
starts with ``tiergate_``. Labels are bounded sets from the tier map and from fixed words: never a key, an agent's name
or an address. ``docs/reference/metrics.md`` lists them all.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol, cast

from prometheus_client import CollectorRegistry, generate_latest

from gateway.record import Charge, RequestRecord, RunpodTrace
from gateway.served import ServedMap
from gateway.telemetry.alert_series import AlertSeries
from gateway.telemetry.bill_series import BillSeries
from gateway.telemetry.counts import ENDPOINT, RUNPOD, CountFirst, Counts, Owed, fields_of, is_limited, usual_upstream
from gateway.telemetry.runpod_series import RunpodSeries
from gateway.telemetry.series import CounterFamily, Family, GaugeFamily, HistogramFamily
from gateway.telemetry.snapshot import Snapshot, merged
from gateway.telemetry.warmth_series import WarmthSeries
from tiers.price import MICRODOLLARS_PER_DOLLAR
from tiers.tiermap import TierMap
from tiers.wording import GPU_SECONDS, MICROSECONDS

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

BREAKER_STATES = ("closed", "open", "half-open")
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


_KINDS: Final = {
    "budget_exhausted": "budget",
    "budget_too_small": "budget",
    "rate_limited": "rate",
    "concurrency_limited": "concurrency",
}
"""The error's code → what kind of limit refused a request; a request that was served went to a cheaper tier."""


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
    def limit(self) -> int:
        """What may be booked in a window."""

    @property
    def held(self) -> int:
        """Reserved by requests that have not ended."""


class Condition(Protocol):
    """What a scrape shows of one endpoint, as this process sees it."""

    @property
    def tier(self) -> str:
        """The tier's name."""

    @property
    def endpoint(self) -> str:
        """The endpoint's name."""

    @property
    def state(self) -> str:
        """Of its circuit breaker: one of ``BREAKER_STATES``."""

    @property
    def openings(self) -> Mapping[str, int]:
        """How often it was left alone, by reason."""

    @property
    def probes(self) -> Mapping[str, int]:
        """How often it was asked whether it is well again, by result."""

    @property
    def since(self) -> float:
        """From when on both are counted, in Unix seconds."""


class Metrics:
    """The series of one gateway process, in a registry of their own.

    Attributes:
        families: All of them, in the order in which they are exposed.
        registry: Where they are collected.
        warmth: Those of Runpod endpoints' workers.
        alerts: Those of budgets' alerts.
        bill: Those of Runpod's bill.
    """

    def __init__(self, tier_map: TierMap, *, version: str, process: int = 0) -> None:
        """``process``: the number of this process among those that are one gateway."""
        self._process = str(process)
        self.warmth = WarmthSeries()
        self.alerts = AlertSeries()
        self.bill = BillSeries()
        self._runpod = RunpodSeries()
        self._counts: dict[tuple[str, ...], Counts] = {}
        self._latest: dict[str, Counts] = {}
        """By endpoint: those of its latest request, which mostly are the next one's."""
        self._noted = CountFirst(self._counts)
        self.families: tuple[Family, ...] = (
            *self._build_standard(),
            *self._build_times(),
            *self._build_counters(),
            *self._build_gauges(),
            *self._build_tier_map(),
            *self._build_endpoints(),
            *self.warmth.families,
            *self._runpod.families,
            *self.alerts.families,
            *self.bill.families,
        )
        self.registry = CollectorRegistry()
        self.registry.register(self._noted)
        for family in self.families:
            self.registry.register(family)
        self._build.set((version,), 1)
        self.follow(tier_map)

    def follow(self, tier_map: TierMap) -> None:
        """Another tier map is served: show its limits. What was counted stays."""
        for family in (self._budget_limit, self._budget_window, self._slots, self._slots_held, self._queue):
            family.clear()
        for budget in tier_map.budgets:
            self._budget_window.set((budget.name,), budget.window_seconds)
            self._budget_limit.set((budget.name, budget.unit), _base_unit(budget.limit, budget.unit))
        for tier in tier_map.tiers.values():
            self._slots.set((tier.name,), tier.slots)

    def show_map(self, served: ServedMap, *, rejected: bool) -> None:
        """Which tier map is served, and whether the file's was ``rejected``."""
        self._map_generation.set((), served.generation)
        self._map_info.clear()
        self._map_info.set((served.hash,), 1)
        self._map_good.set((), not rejected)
        self._map_loaded.set((), served.loaded_unix)

    def _build_counters(self) -> Sequence[Family]:
        served_by = ("tier", "endpoint")
        self._requests = CounterFamily(
            "tiergate_requests_total", "Requests by how they ended.", (*served_by, "outcome", "reason")
        )
        self._cost = CounterFamily("tiergate_cost_usd_total", "Cost of requests in US dollars.", served_by)
        self._gpu = CounterFamily(
            "tiergate_gpu_seconds_total", "GPU seconds attributed to requests.", (*served_by, "state")
        )
        self._uncounted = CounterFamily(
            "tiergate_usage_counted_locally_total",
            "Requests whose endpoint reported no usage, so that the gateway counted.",
            served_by,
        )
        self._attempts = CounterFamily("tiergate_extra_attempts_total", "Attempts beyond a request's first.", ("tier",))
        self._refused = CounterFamily(
            "tiergate_refusals_total", "Requests refused by the gateway itself, by error code.", ("tier", "code")
        )
        self._limited = CounterFamily(
            "tiergate_limit_refusals_total",
            "Requests that a budget or limit refused, sent to a cheaper tier or, in shadow, would have refused.",
            ("limit", "kind"),
        )
        self._over_reported = CounterFamily(
            "tiergate_over_reported_amounts_total",
            "Amounts that endpoints reported above all that the request could take; the excess is not charged.",
            ("tier",),
        )
        counters = (self._requests, self._cost, self._gpu, self._uncounted, self._attempts, self._refused)
        return (*counters, self._limited, self._over_reported)

    def _build_standard(self) -> Sequence[Family]:
        """Under OpenTelemetry's names."""
        call = ("tier", "gen_ai_operation_name")
        self._tokens = HistogramFamily(
            "gen_ai_client_token_usage", "Tokens per request, by type.", (*call, "gen_ai_token_type"), _TOKENS
        )
        self._duration = HistogramFamily(
            "gen_ai_server_request_duration_seconds",
            "From the request's arrival to the end of its answer.",
            (*call, "error_type"),
            _SECONDS,
        )
        self._first_token = HistogramFamily(
            "gen_ai_server_time_to_first_token_seconds",
            "From the request's arrival to the first content of a streamed answer.",
            call,
            _FIRST_TOKEN_SECONDS,
        )
        self._per_token = HistogramFamily(
            "gen_ai_server_time_per_output_token_seconds",
            "Time per output token after the first, of streamed answers.",
            call,
            _TOKEN_SECONDS,
        )
        return self._tokens, self._duration, self._first_token, self._per_token

    def _build_times(self) -> Sequence[Family]:
        self._queue_delay = HistogramFamily(
            "tiergate_queue_delay_seconds", "Wait in the gateway's own admission queue.", ("tier",), _SECONDS
        )
        self._overhead = HistogramFamily(
            "tiergate_overhead_seconds",
            "Time that the gateway itself added: neither in its queue nor at the endpoint.",
            ("tier",),
            _OVERHEAD_SECONDS,
        )
        return self._queue_delay, self._overhead

    def _build_gauges(self) -> Sequence[Family]:
        budget, tier = ("budget", "unit"), ("tier",)
        self._budget_limit = GaugeFamily("tiergate_budget_limit", "A budget's limit per owner and window.", budget)
        self._budget_window = GaugeFamily(
            "tiergate_budget_window_seconds", "The usual length of a budget's window.", ("budget",)
        )
        self._budget_settled = GaugeFamily(
            "tiergate_budget_settled", "Settled in the current window, over all owners.", budget
        )
        self._budget_fullest = GaugeFamily(
            "tiergate_budget_settled_ratio", "The largest part of its limit that one owner has settled.", budget
        )
        self._budget_held = GaugeFamily("tiergate_budget_held", "Held by open reservations, over all owners.", budget)
        self._slots = GaugeFamily("tiergate_slots", "Slots of a tier over all processes.", tier)
        self._slots_held = GaugeFamily("tiergate_slots_held", "Slots held over all processes.", tier)
        self._queue = GaugeFamily("tiergate_queue_length", "Requests that wait for a slot.", tier, adds_up=True)
        self._unsettled = GaugeFamily(
            "tiergate_settlements_waiting", "Settlements that wait for the store.", adds_up=True
        )
        self._tasks = GaugeFamily("tiergate_event_loop_tasks", "Tasks of the event loops.", adds_up=True)
        self._resident = GaugeFamily(
            "tiergate_resident_memory_bytes", "Resident memory of a process that serves.", ("process",), adds_up=True
        )
        self._store_up = GaugeFamily("tiergate_store_up", "Whether the store answered at this scrape.")
        self._store_ping = GaugeFamily(
            "tiergate_store_ping_seconds", "How long the store took for a PING at this scrape."
        )
        self._build = GaugeFamily("tiergate_build_info", "The gateway's version.", ("version",))
        return (
            self._budget_limit, self._budget_window, self._budget_settled, self._budget_fullest, self._budget_held,
            self._slots, self._slots_held, self._queue, self._unsettled, self._tasks, self._resident, self._store_up,
            self._store_ping, self._build,
        )  # fmt: skip

    def _build_tier_map(self) -> Sequence[Family]:
        self._map_generation = GaugeFamily(
            "tiergate_tier_map_generation", "Which tier map is served; each that was taken over has the next number."
        )
        self._map_info = GaugeFamily(
            "tiergate_tier_map_info", "The first digits of the SHA-256 of the tier map that is served.", ("hash",)
        )
        self._map_good = GaugeFamily(
            "tiergate_tier_map_last_reload_successful", "Whether the file's tier map could be served at the last try."
        )
        self._map_loaded = GaugeFamily(
            "tiergate_tier_map_last_reload_success_timestamp_seconds", "Since when the tier map is served."
        )
        return self._map_generation, self._map_info, self._map_good, self._map_loaded

    def _build_endpoints(self) -> Sequence[Family]:
        endpoint = ("tier", "endpoint")
        self._breakers = GaugeFamily(
            "tiergate_endpoint_state",
            "Processes in which an endpoint's circuit breaker is in this state.",
            (*endpoint, "state"),
            adds_up=True,
        )
        self._openings = CounterFamily(
            "tiergate_endpoint_openings_total", "How often an endpoint was left alone.", (*endpoint, "reason")
        )
        self._probes = CounterFamily(
            "tiergate_endpoint_probes_total",
            "How often an endpoint was asked whether it is well.",
            (*endpoint, "result"),
        )
        return self._breakers, self._openings, self._probes

    def observe(self, record: RequestRecord, _: bytes = b"") -> None:
        """Count a request that ended."""
        fields = fields_of(record)
        endpoint: str = fields[ENDPOINT]
        counts = self._latest.get(endpoint)
        if counts is None or not counts.are_of(fields):
            counts = self._latest[endpoint] = self._counts_of(record)
        held = 0.0
        trace = cast("RunpodTrace | None", fields[RUNPOD])
        if trace is not None:
            self._runpod.observe(record.tier, endpoint, trace, _end(record))
            held = trace.held_seconds
        if is_limited(fields):
            self._observe_limits(record)
        upstream = usual_upstream(fields)
        if upstream >= 0:
            if counts.owed is None and record.charges:
                counts.owed = self._owed_to(record.charges[0], record)
            counts.note(fields, upstream + held)
        else:
            self._observe_other(record, counts)

    def over_reported(self, tier: str, now: float) -> None:
        """An amount was reported above what was held for it, at the Unix time ``now``."""
        self._over_reported.series((tier,), now).value += 1

    def _observe_limits(self, record: RequestRecord) -> None:
        """Count by which budget or limit, and what it did."""
        if record.refused_by:
            kind = _KINDS.get(record.error, "downgrade")
            self._limited.series((record.refused_by, kind), _end(record)).value += 1
        for budget in record.shadowed:
            self._limited.series((budget, "shadow"), _end(record)).value += 1

    def _observe_other(self, record: RequestRecord, counts: Counts) -> None:
        """Count a request that was not the usual good one."""
        counts.requests.value += 1
        counts.duration.observe(record.duration_seconds)
        for charge in record.charges:
            self._owed_to(charge, record).charge(charge.cost_microdollars, charge.gpu_seconds)
        upstream = record.upstream_seconds
        if record.attempts == 0 or upstream is None:
            if record.error:
                self._refused.series((record.tier, record.error), _end(record)).value += 1
            return
        waited = record.queue_delay_seconds or 0.0
        counts.queue_delay.observe(waited)
        if record.attempts > 1:
            self._attempts.series((record.tier,), _end(record)).value += record.attempts - 1
        else:
            held = record.runpod.held_seconds if record.runpod is not None else 0.0
            overhead = record.duration_seconds - waited - upstream - held
            counts.overhead.observe(overhead if overhead > 0 else 0.0)
        if record.outcome == "ok":
            self._observe_answer(record, counts)

    def _observe_answer(self, record: RequestRecord, counts: Counts) -> None:
        """Count what a good answer consists of."""
        counts.input_tokens.observe(record.input_tokens)
        counts.output_tokens.observe(record.output_tokens)
        if not record.usage_reported:
            self._uncounted.series((record.tier, record.endpoint), _end(record)).value += 1
        first = record.time_to_first_token_seconds
        if record.stream and first is not None:
            counts.streamed(record.duration_seconds, first, record.output_tokens)

    def _counts_of(self, record: RequestRecord) -> Counts:
        # Each of these is a word of the tier map or of the code, so that there are few combinations.
        key = (record.tier, record.endpoint, record.operation, record.outcome, record.reason, record.error)
        found = self._counts.get(key)
        if found is None:
            now, tier, call = _end(record), (record.tier,), (record.tier, record.operation)
            reason = record.reason.partition(":")[0]
            found = self._counts[key] = Counts(
                record,
                requests=self._requests.series((record.tier, record.endpoint, record.outcome, reason), now),
                duration=self._duration.series((*call, record.error), now),
                queue_delay=self._queue_delay.series(tier, now),
                overhead=self._overhead.series(tier, now),
                input_tokens=self._tokens.series((*call, "input"), now),
                output_tokens=self._tokens.series((*call, "output"), now),
                first_token=self._first_token.series(call, now),
                per_token=self._per_token.series(call, now),
            )
        return found

    def _owed_to(self, charge: Charge, record: RequestRecord) -> Owed:
        served_by, now = (charge.tier, charge.endpoint), _end(record)
        return Owed(cost=self._cost.series(served_by, now), gpu=self._gpu.series((*served_by, "busy"), now))

    def measure(
        self, *, queue_lengths: Mapping[str, int], unsettled: int, tasks: int, resident_bytes: int | None
    ) -> None:
        """Take note of this process's part of what is waiting and used now; ``None`` is not known."""
        for tier, length in queue_lengths.items():
            self._queue.set((tier,), length)
        self._unsettled.set((), unsettled)
        self._tasks.set((), tasks)
        if resident_bytes is not None:
            self._resident.set((self._process,), resident_bytes)

    def measure_endpoints(self, conditions: Iterable[Condition]) -> None:
        """Take note of how all endpoints are now, as this process sees them."""
        self._breakers.clear()
        for each in conditions:
            where = (each.tier, each.endpoint)
            for state in BREAKER_STATES:
                self._breakers.set((*where, state), float(state == each.state))
            for reason, count in each.openings.items():
                self._openings.series((*where, reason), each.since).value = float(count)
            for result, count in each.probes.items():
                self._probes.series((*where, result), each.since).value = float(count)

    def snapshot(self) -> Snapshot:
        """What this process adds to the whole gateway's series."""
        self._noted.collect()
        return Snapshot(
            totals={family.name: family.state() for family in self.families if not isinstance(family, GaugeFamily)},
            gauges={
                family.name: family.state()
                for family in self.families
                if isinstance(family, GaugeFamily) and family.adds_up
            },
        )

    def render(
        self,
        *,
        balances: Sequence[Reading] | None,
        slots_held: Mapping[str, int],
        others: Sequence[Snapshot] = (),
        ping_seconds: float | None = None,
    ) -> bytes:
        """The exposition text of this process and ``others`` together.

        ``balances`` and ``ping_seconds`` are ``None`` where the store did not answer.
        """
        self._store_up.set((), balances is not None)
        self._store_ping.clear()
        if ping_seconds is not None:
            self._store_ping.set((), ping_seconds)
        for tier, held in slots_held.items():
            self._slots_held.set((tier,), held)
        if balances is not None:
            self._set_budgets(balances)
        return generate_latest(self._with(others) if others else self.registry)

    def _with(self, others: Sequence[Snapshot]) -> CollectorRegistry:
        whole = merged([self.snapshot(), *others])
        states = whole.totals | whole.gauges
        registry = CollectorRegistry()
        for family in self.families:
            state = states.get(family.name)
            registry.register(family if state is None else family.showing(state))
        return registry

    def _set_budgets(self, balances: Sequence[Reading]) -> None:
        self._budget_settled.clear()
        self._budget_held.clear()
        self._budget_fullest.clear()
        fullest: dict[tuple[str, str], float] = {}
        for balance in balances:
            labels = (balance.budget, balance.unit)
            fullest[labels] = max(fullest.get(labels, 0.0), balance.settled / max(balance.limit, 1))
            self._budget_settled.add(labels, _base_unit(balance.settled, balance.unit))
            self._budget_held.add(labels, _base_unit(balance.held, balance.unit))
        for labels, part in fullest.items():
            self._budget_fullest.set(labels, part)


def _base_unit(amount: int, unit: str) -> float:
    if unit == "USD":
        return amount / MICRODOLLARS_PER_DOLLAR
    return amount / MICROSECONDS if unit == GPU_SECONDS else amount


def _end(record: RequestRecord) -> float:
    """When the request ended, in Unix seconds: the time at which its first series begin."""
    return record.received_unix + record.duration_seconds
