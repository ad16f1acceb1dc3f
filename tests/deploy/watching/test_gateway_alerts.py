"""What is told of gateways and their store, as Prometheus works it out."""

from pathlib import Path

from deploy.watching.gateway_alerts import gateway_alerts
from tests.deploy.watching.promtool import Case, check, covered, needs_promtool

TIER, GATEWAY = {"tier": "t"}, {"instance": "g"}
FAILED = 'tiergate_requests_total{tier="t", endpoint="e", outcome="upstream_error", reason=""}'
GOOD = 'tiergate_requests_total{tier="t", endpoint="e", outcome="ok", reason=""}'
REFUSED = 'tiergate_refusals_total{tier="t", code="tier_saturated"}'
QUEUE = 'tiergate_queue_delay_seconds_bucket{{tier="t", le="{}"}}'
OVERHEAD = 'tiergate_overhead_seconds_bucket{{instance="g", tier="t", le="{}"}}'
PING, UP = 'tiergate_store_ping_seconds{instance="g"}', 'tiergate_store_up{instance="g"}'
WAITING = 'tiergate_settlements_waiting{instance="g"}'
MAPS = ('tiergate_tier_map_info{instance="g", hash="a"}', 'tiergate_tier_map_info{instance="h", hash="b"}')
RELOADED = 'tiergate_tier_map_last_reload_successful{instance="g"}'

CASES = [
    Case(
        promise="one in ten requests fails",
        alert="TiergateRequestsFail",
        series={FAILED: "0+1x30", GOOD: "0+9x30"},
        after="20m",
        fires=TIER,
    ),
    Case(
        promise="one in a hundred fails",
        alert="TiergateRequestsFail",
        series={FAILED: "0+1x30", GOOD: "0+99x30"},
        after="20m",
        fires=None,
    ),
    Case(
        promise="all fail, but there are only four",
        alert="TiergateRequestsFail",
        series={FAILED: "0 1 2 3 4+0x30"},
        after="9m",
        fires=None,
    ),
    Case(
        promise="half of the requests wait for more than ten seconds",
        alert="TiergateTierFull",
        series={QUEUE.format("10.24"): "0+5x30", QUEUE.format("20.48"): "0+10x30", QUEUE.format("+Inf"): "0+10x30"},
        after="25m",
        fires=TIER,
    ),
    Case(
        promise="requests are refused again and again",
        alert="TiergateTierFull",
        series={REFUSED: "0+1x30"},
        after="25m",
        fires=TIER,
    ),
    Case(
        promise="nobody waits",
        alert="TiergateTierFull",
        series={QUEUE.format("0.01"): "0+10x30", QUEUE.format("+Inf"): "0+10x30", REFUSED: "7+0x30"},
        after="25m",
        fires=None,
    ),
    Case(promise="nothing is scraped", alert="TiergateGatewayDown", series={}, after="5m", fires={}),
    Case(
        promise="one of two gateways is there",
        alert="TiergateGatewayDown",
        series={'tiergate_build_info{instance="g", version="1"}': "1+0x9"},
        after="5m",
        fires=None,
    ),
    Case(
        promise="requests are held up by 200 ms",
        alert="TiergateGatewaySlow",
        series={OVERHEAD.format("0.1"): "0+1x30", OVERHEAD.format("0.25"): "0+9x30", OVERHEAD.format("+Inf"): "0+9x30"},
        after="25m",
        fires=GATEWAY,
    ),
    Case(
        promise="requests are held up by 1 ms",
        alert="TiergateGatewaySlow",
        series={OVERHEAD.format("0.001"): "0+9x30", OVERHEAD.format("+Inf"): "0+9x30"},
        after="25m",
        fires=None,
    ),
    Case(
        promise="a tier map was refused",
        alert="TiergateTierMapRejected",
        series={RELOADED: "1 0+0x9"},
        after="5m",
        fires=GATEWAY,
    ),
    Case(
        promise="every tier map was served",
        alert="TiergateTierMapRejected",
        series={RELOADED: "1+0x9"},
        after="5m",
        fires=None,
    ),
    Case(
        promise="two gateways serve two maps",
        alert="TiergateTierMapsDiffer",
        series={MAPS[0]: "1+0x30", MAPS[1]: "1+0x30"},
        after="20m",
        fires={},
    ),
    Case(
        promise="a new map comes to one after the other",
        alert="TiergateTierMapsDiffer",
        series={MAPS[0]: "1+0x9 stale", MAPS[1]: "1+0x30"},
        after="20m",
        fires=None,
    ),
    Case(promise="the store is away", alert="TiergateStoreDown", series={UP: "1 0+0x9"}, after="4m", fires=GATEWAY),
    Case(
        promise="one scrape went by in vain",
        alert="TiergateStoreDown",
        series={UP: "1 0 1+0x9"},
        after="4m",
        fires=None,
    ),
    Case(
        promise="the store takes 50 ms",
        alert="TiergateStoreSlow",
        series={PING: "0.05+0x30"},
        after="15m",
        fires=GATEWAY,
    ),
    Case(
        promise="it took long once",
        alert="TiergateStoreSlow",
        series={PING: "0.001 0.001 0.08 0.001+0x30"},
        after="7m",
        fires=None,
    ),
    Case(
        promise="settlements wait and do not get fewer",
        alert="TiergateSettlementsWait",
        series={WAITING: "0+1x30"},
        after="20m",
        fires=GATEWAY,
    ),
    Case(
        promise="settlements are booked after a moment",
        alert="TiergateSettlementsWait",
        series={WAITING: "0 5 0 5 0 5 0 5 0 5 0 5 0"},
        after="12m",
        fires=None,
    ),
]


@needs_promtool
def test_each_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_each_is_shown_firing_and_silent() -> None:
    assert covered(CASES) == {alert.name: {True, False} for alert in gateway_alerts()}
