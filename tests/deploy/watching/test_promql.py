"""Pieces of PromQL."""

from deploy.watching.promql import PERCENTILES, buckets, chosen, counted, percentile, ratio


def test_percentiles_are_those_of_runpods_dashboard() -> None:
    assert PERCENTILES == (70, 90, 98)


def test_a_percentile_keeps_the_labels_that_were_asked_for() -> None:
    rates = buckets("h", "tier", "5m", 'tier=~"$tier"')
    assert rates == 'sum by (tier, le) (rate(h_bucket{tier=~"$tier"}[5m]))'
    assert percentile(98, rates) == f"histogram_quantile(0.98, {rates})"


def test_all_series_are_chosen_without_braces() -> None:
    assert chosen("") == ""
    assert buckets("h", "tier", "5m") == "sum by (tier, le) (rate(h_bucket[5m]))"


def test_a_ratio_has_no_value_where_there_is_no_whole() -> None:
    assert ratio("a", counted("b", "tier", "1h")) == "a / (sum by (tier) (increase(b[1h])) > 0)"
