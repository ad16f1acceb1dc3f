from gateway.telemetry.alert_series import AlertSeries
from gateway.telemetry.metrics import Metrics
from tests.gateway.samples import token_tier
from tests.tiers.samples import tier_map


def test_tries_are_counted_by_budget_and_result() -> None:
    series = AlertSeries()
    for result in ("sent", "failed", "failed"):
        series.count("daily", result, 1_800_000_000.0)
    [family] = series.families
    [metric] = family.collect()
    counted = {
        (sample.labels["budget"], sample.labels["result"]): sample.value
        for sample in metric.samples
        if sample.name == "tiergate_budget_alerts_total"
    }
    assert counted == {("daily", "sent"): 1, ("daily", "failed"): 2}


def test_they_are_among_a_process_series() -> None:
    metrics = Metrics(tier_map(token_tier()), version="0")
    metrics.alerts.count("daily", "sent", 1_800_000_000.0)
    assert set(metrics.alerts.families) <= set(metrics.families)
