"""Where the time of requests at Runpod went."""

from prometheus_client import CollectorRegistry

from gateway.record import RunpodTrace
from gateway.telemetry.runpod_series import RunpodSeries

COLD = RunpodTrace(
    held_seconds=0.0,
    way="job",
    cold=True,
    job="job-1",
    worker="w1",
    tries=1,
    worker_delay_seconds=105.0,
    execution_seconds=2.0,
)
HELD = RunpodTrace(
    held_seconds=104.0,
    way="route",
    cold=False,
    job="",
    worker="",
    tries=1,
    worker_delay_seconds=None,
    execution_seconds=None,
)


class Scrape:
    """The series after these requests, and how to read them."""

    def __init__(self, *traces: RunpodTrace) -> None:
        series = RunpodSeries()
        self._registry = CollectorRegistry()
        for family in series.families:
            self._registry.register(family)
        for trace in traces:
            series.observe("routing", "routing/0", trace, 1000.0)

    def value(self, name: str, **labels: str) -> float | None:
        """One series' value."""
        where = {"tier": "routing", "endpoint": "routing/0"}
        return self._registry.get_sample_value(f"tiergate_runpod_{name}", {**where, **labels})


def test_a_request_counts_by_its_way_and_whether_somebody_was_awake() -> None:
    """One that was never sent has none."""
    unsent = RunpodTrace(
        held_seconds=60.0,
        way="",
        cold=False,
        job="",
        worker="",
        tries=0,
        worker_delay_seconds=None,
        execution_seconds=None,
    )
    scrape = Scrape(COLD, HELD, HELD, unsent)
    assert scrape.value("requests_total", way="job", cold="true") == 1
    assert scrape.value("requests_total", way="route", cold="false") == 2
    assert scrape.value("requests_total", way="", cold="false") is None
    assert scrape.value("held_seconds_count") == 3


def test_its_times_are_counted_where_they_are_known() -> None:
    """Who did not wait, or is not a job, counts in none of them."""
    scrape = Scrape(COLD, HELD)
    assert (scrape.value("held_seconds_count"), scrape.value("held_seconds_sum")) == (1, 104)
    assert (scrape.value("worker_delay_seconds_count"), scrape.value("worker_delay_seconds_sum")) == (1, 105)
    assert (scrape.value("execution_seconds_count"), scrape.value("execution_seconds_sum")) == (1, 2)
