"""Prometheus series, from records and from what is held at a scrape."""

from collections.abc import Sequence
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.budget.ledger import Balance
from gateway.record import Charge, RunpodTrace
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.snapshot import Snapshot
from tests.gateway.samples import budget, record, tier_map, token_tier

MAP = tier_map(
    token_tier("routing", slots=3),
    token_tier("reasoning", slots=5),
    budgets=(budget(5_000_000), budget(1000, name="tokens", unit="tokens")),
)
CHAT = "gen_ai_operation_name=chat"
CALL = {"tier": "routing", "gen_ai_operation_name": "chat"}


class Meters:
    """Metrics that have seen some requests."""

    def __init__(self, *requests: dict[str, Any], process: int = 0) -> None:
        self.metrics = Metrics(MAP, version="1.2.3", process=process)
        for fields in requests:
            self.metrics.observe(record(**fields))

    def value(self, name: str, **labels: str) -> float | None:
        """A series' value, ``None`` where there is no such series."""
        return self.metrics.registry.get_sample_value(name, labels)

    def measure(self, *, tasks: int = 5, resident_bytes: int | None = 1000) -> None:
        """What is so at this moment."""
        self.metrics.measure(
            queue_lengths={"routing": 7, "reasoning": 0}, unsettled=4, tasks=tasks, resident_bytes=resident_bytes
        )

    def render(self, balances: list[Balance] | None = None, others: Sequence[Snapshot] = ()) -> str:
        """A scrape."""
        self.measure()
        return self.metrics.render(
            balances=balances,
            slots_held={} if balances is None else {"routing": 2, "reasoning": 0},
            others=others,
        ).decode()


def balance(owner: str, settled: int, held: int, *, name: str = "money", unit: str = "USD") -> Balance:
    return Balance(budget=name, owner=owner, unit=unit, limit=9, settled=settled, held=held, window_ends_in_seconds=1.0)


def test_a_request_is_counted_by_how_it_ended() -> None:
    """Its reason without the route's name, which tier-map editors change."""
    meters = Meters({}, {"reason": "fallback"}, {"outcome": "timeout", "error": "upstream_timeout"})
    labels = {"tier": "routing", "endpoint": "routing/0"}
    assert meters.value("tiergate_requests_total", outcome="ok", reason="route", **labels) == 1
    assert meters.value("tiergate_requests_total", outcome="ok", reason="fallback", **labels) == 1
    assert meters.value("tiergate_requests_total", outcome="timeout", reason="route", **labels) == 1
    assert meters.value("gen_ai_server_request_duration_seconds_count", error_type="", **CALL) == 2
    assert meters.value("gen_ai_server_request_duration_seconds_sum", error_type="", **CALL) == 6
    assert meters.value("gen_ai_server_request_duration_seconds_count", error_type="upstream_timeout", **CALL) == 1


def test_tokens_and_times_are_of_requests_that_ended_well() -> None:
    """Time to first token, then so long per token after it."""
    meters = Meters({}, {"outcome": "timeout", "error": "upstream_timeout"})
    assert meters.value("gen_ai_client_token_usage_sum", gen_ai_token_type="input", **CALL) == 12
    assert meters.value("gen_ai_client_token_usage_sum", gen_ai_token_type="output", **CALL) == 5
    assert meters.value("gen_ai_server_time_to_first_token_seconds_sum", **CALL) == 1
    assert meters.value("gen_ai_server_time_to_first_token_seconds_count", **CALL) == 1
    assert meters.value("gen_ai_server_time_per_output_token_seconds_sum", **CALL) == (3 - 1) / (5 - 1)


@pytest.mark.parametrize(
    "fields", [{"stream": False}, {"time_to_first_token_seconds": None}], ids=["whole", "no token"]
)
def test_an_answer_that_came_at_once_has_no_first_token(fields: dict[str, Any]) -> None:
    """Its time would say how long the answer was."""
    assert Meters(fields).value("gen_ai_server_time_to_first_token_seconds_count", **CALL) is None


def test_an_answer_of_one_token_has_no_time_per_further_token() -> None:
    """Nothing is divided by zero."""
    meters = Meters({"output_tokens": 1})
    assert meters.value("gen_ai_server_time_to_first_token_seconds_count", **CALL) == 1
    assert meters.value("gen_ai_server_time_per_output_token_seconds_count", **CALL) is None


def test_every_attempt_is_charged_to_who_served_it() -> None:
    """Also those before the one that answered, and those of a request that failed in the end."""
    charges = (
        Charge(tier="routing", endpoint="routing/0", gpu_seconds=1.0, cost_microdollars=1_000_000),
        Charge(tier="reasoning", endpoint="reasoning/0", gpu_seconds=2.0, cost_microdollars=500_000),
    )
    meters = Meters({"charges": charges, "outcome": "upstream_error", "upstream_seconds": None})
    for charge in charges:
        labels = {"tier": charge.tier, "endpoint": charge.endpoint}
        assert meters.value("tiergate_cost_usd_total", **labels) == charge.cost_microdollars / 1_000_000
        assert meters.value("tiergate_gpu_seconds_total", state="busy", **labels) == charge.gpu_seconds


def test_a_refusal_by_the_gateway_is_counted_by_its_code() -> None:
    """Nothing was sent, so nothing is known of an endpoint."""
    refused = {"attempts": 0, "upstream_seconds": None, "outcome": "budget_exhausted", "charges": ()}
    meters = Meters({"error": "budget_exhausted", **refused}, {"error": "", **refused})
    assert meters.value("tiergate_refusals_total", tier="routing", code="budget_exhausted") == 1
    assert meters.value("tiergate_refusals_total", tier="routing", code="") is None
    assert meters.value("tiergate_queue_delay_seconds_count", tier="routing") is None


def test_waits_and_the_gateways_own_time_are_told_apart() -> None:
    """3 seconds, of which half a second in the queue and 2.25 at the endpoint; never less than nothing."""
    meters = Meters({}, {"queue_delay_seconds": None, "upstream_seconds": 4.0})
    assert meters.value("tiergate_queue_delay_seconds_sum", tier="routing") == 0.5
    assert meters.value("tiergate_overhead_seconds_sum", tier="routing") == 0.25
    assert meters.value("tiergate_overhead_seconds_count", tier="routing") == 2


@pytest.mark.parametrize("outcome", ["ok", "client_error"])
def test_the_wait_for_a_worker_is_not_the_gateways_own_time(outcome: str) -> None:
    """It has a series of its own."""
    trace = RunpodTrace(
        held_seconds=100.0,
        way="route",
        cold=False,
        job="",
        worker="",
        tries=1,
        worker_delay_seconds=None,
        execution_seconds=None,
    )
    meters = Meters({"duration_seconds": 103.0, "runpod": trace, "outcome": outcome})
    assert meters.value("tiergate_overhead_seconds_sum", tier="routing") == 0.25
    assert meters.value("tiergate_runpod_held_seconds_sum", tier="routing", endpoint="routing/0") == 100


def test_attempts_beyond_the_first_are_counted() -> None:
    """The gateway's own time cannot be told then."""
    meters = Meters({"attempts": 3})
    assert meters.value("tiergate_extra_attempts_total", tier="routing") == 2
    assert meters.value("tiergate_overhead_seconds_count", tier="routing") is None


def test_usage_that_the_gateway_had_to_count_is_noticed() -> None:
    """An endpoint that reports none is misconfigured."""
    meters = Meters({}, {"usage_reported": False})
    assert meters.value("tiergate_usage_counted_locally_total", tier="routing", endpoint="routing/0") == 1


def test_a_scrape_shows_what_is_waiting_and_held() -> None:
    """Slots and budgets over all processes, queues of this one; money in dollars, over all owners."""
    meters = Meters()
    meters.render(
        [balance("a", 1_000_000, 500_000), balance("b", 2_000_000, 0), balance("a", 70, 30, name="t", unit="tokens")]
    )
    assert meters.value("tiergate_store_up") == 1
    assert meters.value("tiergate_settlements_waiting") == 4
    assert meters.value("tiergate_event_loop_tasks") == 5
    assert meters.value("tiergate_resident_memory_bytes", process="0") == 1000
    assert meters.value("tiergate_queue_length", tier="routing") == 7
    assert meters.value("tiergate_slots", tier="routing") == 3
    assert meters.value("tiergate_slots_held", tier="routing") == 2
    assert meters.value("tiergate_budget_limit", budget="money", unit="USD") == 5
    assert meters.value("tiergate_budget_limit", budget="tokens", unit="tokens") == 1000
    assert meters.value("tiergate_budget_window_seconds", budget="money") == MAP.budgets[0].window_seconds
    assert meters.value("tiergate_budget_settled", budget="money", unit="USD") == 3
    assert meters.value("tiergate_budget_held", budget="money", unit="USD") == 0.5
    assert meters.value("tiergate_budget_settled", budget="t", unit="tokens") == 70
    assert meters.value("tiergate_build_info", version="1.2.3") == 1


def test_the_fullest_owner_of_a_budget_is_shown() -> None:
    """Many that have used little do not hide the one who is refused next; who that is, the series does not say."""
    meters = Meters()
    meters.render([balance("a", 1, 8), balance("b", 6, 0), balance("c", 0, 9)])
    assert meters.value("tiergate_budget_settled_ratio", budget="money", unit="USD") == pytest.approx(6 / 9)


def test_how_long_the_store_took_is_shown_while_it_answers() -> None:
    """Nothing is shown in place of an answer that did not come."""
    meters = Meters()
    meters.metrics.render(balances=[], slots_held={}, ping_seconds=0.003)
    assert meters.value("tiergate_store_ping_seconds") == 0.003
    meters.render(None)
    assert meters.value("tiergate_store_ping_seconds") is None


def test_memory_that_nobody_knows_is_not_shown() -> None:
    """Not as 0."""
    meters = Meters()
    meters.measure(resident_bytes=None)
    assert meters.value("tiergate_resident_memory_bytes", process="0") is None


def shown(text: str) -> dict[tuple[str, str], float]:
    """Name and labels → value."""
    return {
        (sample.name, ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_a_scrape_shows_all_processes_as_one_gateway() -> None:
    """As if one process had seen all requests; what every process knows alike is not added up."""
    fast, refused = {"duration_seconds": 0.5}, {"outcome": "timeout", "error": "upstream_timeout"}
    one, other, alone = Meters({}, fast), Meters({}, refused, process=1), Meters({}, fast, {}, refused)
    other.measure(tasks=30)
    balances = [balance("a", 1_000_000, 500_000)]
    whole, expected = shown(one.render(balances, [other.metrics.snapshot()])), shown(alone.render(balances))
    doubled = {
        ("tiergate_queue_length", "tier=routing"): 14,
        ("tiergate_queue_length", "tier=reasoning"): 0,
        ("tiergate_settlements_waiting", ""): 8,
        ("tiergate_event_loop_tasks", ""): 35,
        ("tiergate_resident_memory_bytes", "process=1"): 1000,
    }
    assert whole == expected | doubled
    assert shown(one.render(balances)) == shown(Meters({}, fast).render(balances)), "nothing was added for good"


def test_what_only_another_process_has_seen_is_shown_too() -> None:
    """This one has just been started."""
    text = Meters().render([], [Meters({}).metrics.snapshot().ended()])
    assert shown(text)["gen_ai_server_request_duration_seconds_bucket", f"error_type=,{CHAT},le=+Inf,tier=routing"] == 1
    assert shown(text)["tiergate_event_loop_tasks", ""] == 5


def test_balances_are_of_the_moment() -> None:
    """A window that ended is gone at the next scrape; those of the last answer stay while the store is away."""
    meters = Meters()
    meters.render([balance("a", 1_000_000, 0)])
    meters.render(None)
    assert meters.value("tiergate_store_up") == 0
    assert meters.value("tiergate_budget_settled", budget="money", unit="USD") == 1
    meters.render([])
    assert meters.value("tiergate_budget_settled", budget="money", unit="USD") is None


def test_the_text_is_prometheus_own_and_holds_no_name_of_a_caller() -> None:
    """Labels are bounded: no key, agent, run or model is one."""
    text = Meters({"agent": "agent-7", "run": "run-7", "key": "key-7", "model": "model-7"}, {"attempts": 2}).render([])
    families = {family.name for family in text_string_to_metric_families(text)}
    assert {"tiergate_requests", "gen_ai_server_time_to_first_token_seconds", "tiergate_store_up"} <= families
    assert all(name.startswith(("tiergate_", "gen_ai_")) for name in families)
    assert "-7" not in text


def test_two_gateways_in_one_process_do_not_share_series() -> None:
    """Each has a registry of its own."""
    assert Meters({}).value("tiergate_build_info", version="1.2.3") == 1
    assert Meters().metrics.registry is not Meters().metrics.registry


class Endpoint:
    """How an endpoint is; fulfils ``Condition``."""

    def __init__(self, name: str, state: str, *, failures: int = 0, bad: int = 0) -> None:
        self.tier, _, _ = name.partition("/")
        self.endpoint, self.state, self.since = name, state, 1_800_000_000.0
        self.openings, self.probes = {"failures": failures}, {"good": 0, "bad": bad}


def test_how_endpoints_are_is_shown() -> None:
    """Which state each breaker is in, and all states of all endpoints, so that none is missing while all is well."""
    meters = Meters()
    meters.metrics.measure_endpoints(
        [Endpoint("routing/0", "open", failures=2, bad=3), Endpoint("routing/1", "closed")]
    )
    broken, well = {"tier": "routing", "endpoint": "routing/0"}, {"tier": "routing", "endpoint": "routing/1"}
    states = ("closed", "open", "half-open")
    assert [meters.value("tiergate_endpoint_state", state=state, **broken) for state in states] == [0, 1, 0]
    assert [meters.value("tiergate_endpoint_state", state=state, **well) for state in states] == [1, 0, 0]
    assert meters.value("tiergate_endpoint_openings_total", reason="failures", **broken) == 2
    assert meters.value("tiergate_endpoint_openings_total", reason="failures", **well) == 0
    assert meters.value("tiergate_endpoint_probes_total", result="bad", **broken) == 3


def test_an_endpoint_that_is_in_no_tier_map_any_more_has_no_state() -> None:
    """What was counted of it stays."""
    meters = Meters()
    meters.metrics.measure_endpoints([Endpoint("routing/0", "open", failures=2)])
    meters.metrics.measure_endpoints([Endpoint("routing/1", "closed")])
    gone = {"tier": "routing", "endpoint": "routing/0"}
    assert meters.value("tiergate_endpoint_state", state="open", **gone) is None
    assert meters.value("tiergate_endpoint_openings_total", reason="failures", **gone) == 2


def test_states_and_openings_of_all_processes_add_up() -> None:
    """So that a scrape tells in how many of them an endpoint is left alone."""
    meters, other = Meters(), Meters(process=1)
    for each in (meters, other):
        each.metrics.measure_endpoints([Endpoint("routing/0", "open", failures=1)])
    shown = meters.render(others=[other.metrics.snapshot()])
    assert 'tiergate_endpoint_state{endpoint="routing/0",state="open",tier="routing"} 2.0' in shown
    assert 'tiergate_endpoint_openings_total{endpoint="routing/0",reason="failures",tier="routing"} 2.0' in shown
