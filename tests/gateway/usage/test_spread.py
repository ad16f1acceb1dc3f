"""Quantiles of many durations."""

import pytest

from gateway.usage.spread import ERROR, Spread


def test_quantiles_are_within_the_error() -> None:
    """Over nine orders of magnitude."""
    spread = Spread()
    durations = sorted(1e-6 * 1.02**i for i in range(1000))
    for duration in durations:
        spread.add(duration)
    for part in (0.01, 0.5, 0.95, 1.0):
        exact = durations[round(part * 1000) - 1]
        assert spread.quantile(part) == pytest.approx(exact, rel=ERROR * 1.01, abs=1e-6)


def test_nothing_has_no_quantile_and_zero_is_short() -> None:
    spread = Spread()
    assert spread.quantile(0.5) is None
    spread.add(0.0)
    assert spread.quantile(0.5) == pytest.approx(1e-6, abs=1e-6)
