"""Series of Runpod endpoints' workers."""

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest

from gateway.telemetry.warmth_series import WarmthSeries
from tiers.warmth import Sample, State


@dataclass(slots=True)
class Known:
    """What is known of an endpoint."""

    state: State = State.COLD
    sample: Sample | None = None
    waiting: int = 0
    wakes: int = 0
    woken: int = 0
    woken_seconds: list[float] = field(default_factory=list)


class Scrape:
    """The series, and how to read them."""

    def __init__(self) -> None:
        self.series = WarmthSeries()
        self._registry = CollectorRegistry()
        for family in self.series.families:
            self._registry.register(family)

    def measure(self, *endpoints: Known) -> None:
        """Of one tier."""
        self.series.measure([("routing", f"routing/{at}", known) for at, known in enumerate(endpoints)], 1000.0)

    def value(self, name: str, endpoint: str = "routing/0", **labels: str) -> float | None:
        """One series' value."""
        return self._registry.get_sample_value(name, {"tier": "routing", "endpoint": endpoint, **labels})

    def shown(self) -> str:
        """All of them."""
        return generate_latest(self._registry).decode()


def test_an_endpoint_is_in_one_state() -> None:
    """Each state has a series, so that one that ends is seen to end; an endpoint that is gone has none."""
    scrape = Scrape()
    scrape.measure(Known(State.WAKING), Known(State.CRASH_LOOPING))
    states = [state.value for state in State]
    found = [scrape.value("tiergate_endpoint_warmth_state", state=state) for state in states]
    assert found == [float(state == "waking") for state in states]
    assert scrape.value("tiergate_endpoint_warmth_state", "routing/1", state="crash-looping") == 1
    scrape.measure(Known(State.WARM))
    assert scrape.value("tiergate_endpoint_warmth_state", state="waking") == 0
    assert scrape.value("tiergate_endpoint_warmth_state", "routing/1", state="crash-looping") is None


def test_workers_and_jobs_are_shown_as_runpod_counted_them() -> None:
    """Nothing of an endpoint that was not looked at."""
    scrape = Scrape()
    scrape.measure(Known(sample=Sample(initializing=2, in_queue=5), waiting=3), Known())
    assert scrape.value("tiergate_endpoint_workers", state="initializing") == 2
    assert scrape.value("tiergate_endpoint_workers", state="running") == 0
    assert scrape.value("tiergate_endpoint_jobs", state="in_queue") == 5
    assert scrape.value("tiergate_endpoint_held_calls") == 3
    assert scrape.value("tiergate_endpoint_workers", "routing/1", state="initializing") is None


def test_wakes_are_counted_once_each() -> None:
    """However often is scraped; also of an endpoint that was gone for a while, and counts from 0."""
    scrape = Scrape()
    known = Known(wakes=2, woken=1, woken_seconds=[50.0])
    scrape.measure(known)
    scrape.measure(known)
    assert scrape.value("tiergate_endpoint_wakes_total") == 2
    assert scrape.value("tiergate_endpoint_wake_seconds_count") == 1
    known.wakes, known.woken = 3, 3
    known.woken_seconds += [100.0, 8.0]
    scrape.measure(known)
    assert scrape.value("tiergate_endpoint_wakes_total") == 3
    assert scrape.value("tiergate_endpoint_wake_seconds_sum") == 158
    assert scrape.value("tiergate_endpoint_wake_seconds_bucket", le="10.0") == 1
    scrape.measure(Known(wakes=1, woken=1, woken_seconds=[1.0]))
    assert scrape.value("tiergate_endpoint_wakes_total") == 4
    assert scrape.value("tiergate_endpoint_wake_seconds_sum") == 159


def test_there_is_nothing_to_show_without_runpod_endpoints() -> None:
    scrape = Scrape()
    scrape.measure()
    assert "{" not in scrape.shown()
