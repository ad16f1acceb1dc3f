from collections.abc import Iterator
from dataclasses import replace

from gateway.telemetry.bill_series import BillSeries
from tests.gateway.gpu_seconds.test_statement import LINE


def values(series: BillSeries) -> Iterator[tuple[str, tuple[str, ...], float]]:
    """All samples."""
    for family in series.families:
        for metric in family.collect():
            for sample in metric.samples:
                yield sample.name.removeprefix("tiergate_bill_"), tuple(sample.labels.values()), sample.value


def test_days_are_summed_by_tier() -> None:
    series = BillSeries()
    series.show([LINE, replace(LINE, day="2026-06-02")])
    assert list(values(series)) == [
        ("attributed_seconds", ("reasoning",), 120.0),
        ("overhead_seconds", ("reasoning", "starting"), 50.0),
        ("overhead_seconds", ("reasoning", "idle"), 20.0),
        ("billed_seconds", ("reasoning",), 200.0),
        ("billed_usd", ("reasoning",), 0.062),
        ("drift_ratio", ("reasoning",), 0.05),
    ]


def test_what_is_not_there_any_more_is_not_shown_and_without_a_bill_there_is_no_drift() -> None:
    series = BillSeries()
    series.show([LINE])
    series.show([replace(LINE, tier="other", billed=0)])
    shown = list(values(series))
    assert {labels[0] for _, labels, _ in shown} == {"other"}
    assert "drift_ratio" not in {name for name, _, _ in shown}
