"""What is counted, and what Prometheus is shown of it."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.registry import DuplicateTimeseries

from gateway.telemetry.series import CounterFamily, Family, GaugeFamily, HistogramFamily


def shown(family: Family) -> list[str]:
    """The exposition's lines."""
    registry = CollectorRegistry()
    registry.register(family)
    return generate_latest(registry).decode().splitlines()


def test_a_counter_is_shown_with_its_help_type_labels_and_birth() -> None:
    """Also at 0: a series that was asked for is there."""
    family = CounterFamily("refusals_total", "How many.", ("tier", "code"))
    family.series(("routing", "a"), 5.0).value += 2
    family.series(("routing", 'b"'), 6.0)
    assert shown(family) == [
        "# HELP refusals_total How many.",
        "# TYPE refusals_total counter",
        'refusals_total{code="a",tier="routing"} 2.0',
        'refusals_total{code="b\\"",tier="routing"} 0.0',
        "# HELP refusals_created How many.",
        "# TYPE refusals_created gauge",
        'refusals_created{code="a",tier="routing"} 5.0',
        'refusals_created{code="b\\"",tier="routing"} 6.0',
    ]


def test_the_same_labels_are_the_same_series() -> None:
    """Which keeps the time at which it began."""
    counters = CounterFamily("n_total", "N.", ("tier",))
    assert counters.series(("a",), 1.0) is counters.series(("a",), 2.0)
    assert counters.series(("a",), 3.0).created == 1.0
    histograms = HistogramFamily("n", "N.", ("tier",), (1,))
    assert histograms.series(("a",), 1.0) is histograms.series(("a",), 2.0)
    assert histograms.series(("a",), 3.0).created == 1.0


def test_a_bound_is_part_of_its_bucket_and_buckets_add_up() -> None:
    """As Prometheus wants them: each holds all smaller ones; the last one holds all."""
    family = HistogramFamily("wait_seconds", "Waits.", ("tier",), (1, 2.5, 1_000_000))
    series = family.series(("routing",), 7.0)
    for amount in (0, 1, 1.1, 2.5, 2_000_000):
        series.observe(amount)
    assert shown(family) == [
        "# HELP wait_seconds Waits.",
        "# TYPE wait_seconds histogram",
        'wait_seconds_bucket{le="1.0",tier="routing"} 2.0',
        'wait_seconds_bucket{le="2.5",tier="routing"} 4.0',
        'wait_seconds_bucket{le="1e+06",tier="routing"} 4.0',
        'wait_seconds_bucket{le="+Inf",tier="routing"} 5.0',
        'wait_seconds_count{tier="routing"} 5.0',
        'wait_seconds_sum{tier="routing"} 2.0000046e+06',
        "# HELP wait_seconds_created Waits.",
        "# TYPE wait_seconds_created gauge",
        'wait_seconds_created{tier="routing"} 7.0',
    ]


def test_a_histogram_that_counted_nothing_shows_no_series() -> None:
    """It is made for what may come."""
    family = HistogramFamily("wait_seconds", "Waits.", ("tier",), (1,))
    family.series(("routing",), 7.0)
    assert shown(family) == ["# HELP wait_seconds Waits.", "# TYPE wait_seconds histogram"]


def test_a_gauge_shows_what_was_set_last() -> None:
    """And nothing once it is cleared."""
    family = GaugeFamily("slots", "Slots.", ("tier",))
    family.set(("a",), 1)
    family.set(("a",), 2)
    family.add(("b",), 3)
    family.add(("b",), 4)
    assert shown(family)[2:] == ['slots{tier="a"} 2.0', 'slots{tier="b"} 7.0']
    family.clear()
    assert shown(family)[2:] == []


def test_a_gauge_without_labels_has_one_value() -> None:
    """Yes is 1."""
    family = GaugeFamily("up", "Up.")
    family.set((), True)
    assert shown(family)[2:] == ["up 1.0"]


@pytest.mark.parametrize(
    "family",
    [CounterFamily("n_total", "N.", ()), HistogramFamily("n", "N.", (), (1,)), GaugeFamily("n", "N.")],
    ids=lambda family: family.kind,
)
def test_two_families_cannot_have_one_name(family: Family) -> None:
    """The registry is told the names before there is a series."""
    registry = CollectorRegistry()
    registry.register(family)
    with pytest.raises(DuplicateTimeseries):
        registry.register(family)


def test_a_state_shows_what_its_family_shows() -> None:
    """Counters and histograms with their births, gauges with their values; of a family without series nothing."""
    counter = CounterFamily("n_total", "N.", ("tier",))
    counter.series(("a",), 5.0).value += 2.5
    histogram = HistogramFamily("wait_seconds", "Waits.", ("tier",), (1, 2))
    for amount in (0.5, 1.5, 1.5, 9):
        histogram.series(("a",), 7.0).observe(amount)
    gauge = GaugeFamily("slots", "Slots.", ("tier",), adds_up=True)
    gauge.set(("a",), 3)
    assert counter.state() == {("a",): [5.0, 2.5]}
    assert histogram.state() == {("a",): [7.0, 12.5, 1, 2, 1]}
    assert gauge.state() == {("a",): [3]}
    families: tuple[Family, ...] = (counter, histogram, gauge)
    for family in families:
        again = family.showing(family.state())
        assert shown(again) == shown(family)
        assert (again.kind, again.labels) == (family.kind, family.labels)
        assert len(shown(family.showing({}))) == 2
    assert gauge.showing({}).adds_up


def test_a_state_does_not_follow_its_family() -> None:
    """It is of its moment."""
    counter = CounterFamily("n_total", "N.", ())
    counter.series((), 5.0).value = 1
    histogram = HistogramFamily("n", "N.", (), (1,))
    histogram.series((), 5.0).observe(1)
    before, spread = counter.state(), histogram.state()
    counter.series((), 5.0).value = 2
    histogram.series((), 5.0).observe(1)
    assert (before, spread) == ({(): [5.0, 1]}, {(): [5.0, 1.0, 1, 0]})


def test_a_histogram_that_counted_nothing_has_no_state() -> None:
    """It is made for what may come, and there may be many."""
    family = HistogramFamily("n", "N.", (), (1,))
    family.series((), 5.0)
    assert family.state() == {}
