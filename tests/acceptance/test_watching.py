"""A real Prometheus scrapes a real gateway before an emulated Runpod, works out the rules, and tells what is wrong.

It runs a hundred times as fast as on Runpod; Prometheus' own times are real ones, so an alert is looked at before it
has lasted for long enough to be told.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.watching.files import RULES, write_files
from deploy.watching.rules import alerts
from tests.acceptance.conftest import DEMO, ENVIRONMENT, tier_map
from tests.acceptance.conftest import KEY as GATEWAY_KEY
from tests.acceptance.emulated_system import ask, check_whole, emulated_tier
from tests.acceptance.emulator_process import KEY, EmulatorProcess
from tests.acceptance.gateway_process import GatewayProcess
from tests.acceptance.prometheus_process import PROMETHEUS, PrometheusProcess
from tests.docs.test_reference import series

pytestmark = pytest.mark.acceptance

SPEED = 100.0
QUICK = {"pullSeconds": 5, "loadSeconds": 5}
TIMEOUTS = {"connect": "2s", "headers": "3s", "idle": "3s", "total": "4s"}
SPENT = {"name": "calls", "owner": {"run": "*"}, "limit": "3 requests", "window": "30d", "spent": "shadow"}
needs_prometheus = pytest.mark.skipif(
    PROMETHEUS is None, reason="prometheus is not installed (Debian and Ubuntu: the package prometheus)"
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, gateway_python: str) -> Iterator[GatewayProcess]:
    """One whose tier ``good`` wakes and serves, and whose tier ``broken`` has workers that crash."""
    folder = tmp_path_factory.mktemp("watched")
    with EmulatorProcess(folder, python=gateway_python, speed=SPEED) as emulator:
        tiers: dict[str, Any] = {}
        for name, faults in {"good": QUICK, "broken": {**QUICK, "crashLoop": True}}.items():
            endpoint = emulator.endpoint(name, "QUEUE")
            endpoint.spoil(**faults)
            tiers[name] = emulated_tier(endpoint, "runpod-queue", timeouts=TIMEOUTS)
        environment = {**ENVIRONMENT, "TEST_RUNPOD_KEY": KEY, "TIERGATE_RUNPOD_SPEED": str(SPEED)}
        described = tier_map(tiers, budgets=[SPENT], keys=[DEMO])
        made = GatewayProcess(folder, described, key=GATEWAY_KEY, python=gateway_python, environment=environment)
        with made as running:
            yield running


@pytest.fixture(scope="module")
def prometheus(gateway: GatewayProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusProcess]:
    folder = tmp_path_factory.mktemp("prometheus")
    write_files(folder, "https://wiki.example.com/runbooks")
    with PrometheusProcess(folder, rules=folder / RULES, port=gateway.port) as running:
        yield running


def call(gateway: GatewayProcess, tier: str) -> None:
    """One call whose answer is good where the tier is."""
    asked = ask(gateway, tier, stream=False, run="watched")
    if tier == "good":
        check_whole(asked)


def scraped(gateway: GatewayProcess) -> Mapping[str, set[frozenset[str]]]:
    """Series → the sets of labels that it shows."""
    text = gateway.call("GET", "/metrics", key=None).body.decode()
    return {
        family.name + ("_total" if family.type == "counter" else ""): {
            frozenset(sample.labels) - {"le"} for sample in family.samples
        }
        for family in text_string_to_metric_families(text)
        if not family.name.endswith("_created")
    }


def test_a_real_scrape_has_the_series_and_labels_that_rules_are_held_against(gateway: GatewayProcess) -> None:
    """What a test of rules takes for exposed is what comes over HTTP."""
    for tier in ("good", "broken"):
        call(gateway, tier)
    shown = scraped(gateway)
    assert set(shown) == set(series())
    for name, labels in shown.items():
        assert labels <= {frozenset(series()[name][1])}, name
    for name in (
        "tiergate_runpod_worker_delay_seconds",
        "tiergate_budget_settled_ratio",
        "tiergate_store_ping_seconds",
    ):
        assert shown[name], name


@needs_prometheus
def test_prometheus_works_every_rule_out(gateway: GatewayProcess, prometheus: PrometheusProcess) -> None:
    call(gateway, "good")
    prometheus.wait_until(lambda: bool(prometheus.ask("tiergate_build_info")))
    prometheus.wait_until(lambda: all(rule["health"] != "unknown" for rule in prometheus.rules()))
    assert [(rule["name"], rule.get("lastError")) for rule in prometheus.rules() if rule["health"] != "ok"] == []


@needs_prometheus
def test_delay_and_execution_time_of_the_gpu_layer_are_recorded(
    gateway: GatewayProcess, prometheus: PrometheusProcess
) -> None:
    """A counter's growth is known from its second look on."""

    def known(recording: str) -> bool:
        call(gateway, "good")
        return any(float(each["value"][1]) >= 0 for each in prometheus.ask(f'{recording}{{tier="good"}}'))

    for what in ("delay", "execution"):
        prometheus.wait_until(lambda what=what: known(f"tiergate:gpu_{what}_seconds:p90_5m"))  # type: ignore[misc]


@needs_prometheus
def test_what_is_wrong_is_told_and_nothing_else(gateway: GatewayProcess, prometheus: PrometheusProcess) -> None:
    """With the tier's name, what to do, and where to read on."""
    call(gateway, "broken")
    prometheus.wait_until(lambda: bool(prometheus.alerts("TiergateCrashLoop")))
    [crash] = prometheus.alerts("TiergateCrashLoop")
    assert (crash["labels"]["tier"], crash["labels"]["severity"]) == ("broken", "page")
    assert crash["annotations"]["summary"] == "Workers of broken/0 of tier broken crash again and again"
    assert crash["annotations"]["runbook_url"] == "https://wiki.example.com/runbooks/crash-loop.md"
    for _ in range(3):
        call(gateway, "good")
    prometheus.wait_until(lambda: bool(prometheus.alerts("TiergateBudgetNearlySpent")))
    [spent] = prometheus.alerts("TiergateBudgetNearlySpent")
    assert spent["annotations"]["summary"].startswith("An owner has spent ")
    wrong = {alert.name for alert in alerts() if prometheus.alerts(alert.name)}
    expected = {"TiergateCrashLoop", "TiergateBudgetNearlySpent"}
    assert expected <= wrong
    assert wrong - expected <= {
        "TiergateRequestsFail", "TiergateColdStartStorm", "TiergateBudgetBurnsFast", "TiergateBudgetBurnsSlowly",
    }  # fmt: skip
