"""Series of one process: counted on plain numbers without a lock, shown to Prometheus at a scrape.

One event loop counts and collects, so nothing here is guarded against threads. A *family* is a name with its labels;
a *series* is one combination of the labels' values. Who counts often asks a family for a series once and keeps it.
Where several processes are one gateway, each gives its state away, and ``showing`` makes a family of their sum.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol, Self

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from gateway.telemetry.snapshot import Labels, State


class Family(Protocol):
    """What the reference page describes of a family, and what a scrape collects of it."""

    @property
    def name(self) -> str:
        """As exposed: a counter's ends in ``_total``."""

    @property
    def kind(self) -> Literal["counter", "gauge", "histogram"]:
        """Prometheus' type."""

    @property
    def labels(self) -> Labels:
        """The labels' names."""

    def describe(self) -> Iterator[Metric]:
        """The family without its series."""

    def collect(self) -> Iterator[Metric]:
        """The family with its series of this moment."""

    def state(self) -> State:
        """The series of this moment, as ``gateway.telemetry.snapshot`` writes them."""

    def showing(self, state: State) -> Self:
        """A family of the same kind with the series of ``state``."""


class Count:
    """One series of a counter: add to ``value`` what is not negative. ``created`` in Unix seconds."""

    __slots__ = ("created", "value")

    def __init__(self, created: float) -> None:
        self.created = created
        self.value = 0.0


class CounterFamily:
    """A counter; ``name`` ends in ``_total``. A series is shown from the moment when it was first asked for."""

    kind: Literal["counter"] = "counter"

    def __init__(self, name: str, meaning: str, labels: Labels) -> None:
        self.name, self.meaning, self.labels = name, meaning, labels
        self._series: dict[Labels, Count] = {}

    def series(self, labels: Labels, now: float) -> Count:
        """The series of these labels, made at the Unix time ``now`` if there is none."""
        found = self._series.get(labels)
        if found is None:
            found = self._series[labels] = Count(now)
        return found

    def describe(self) -> Iterator[Metric]:
        """See ``Family.describe``."""
        yield CounterMetricFamily(self.name, self.meaning, labels=self.labels)

    def collect(self) -> Iterator[Metric]:
        """See ``Family.collect``."""
        shown = CounterMetricFamily(self.name, self.meaning, labels=self.labels)
        for labels, count in self._series.items():
            shown.add_metric(labels, count.value, created=count.created)
        yield shown

    def state(self) -> State:
        """See ``Family.state``: when it began, and its value."""
        return {labels: [count.created, count.value] for labels, count in self._series.items()}

    def showing(self, state: State) -> Self:
        """See ``Family.showing``."""
        family = type(self)(self.name, self.meaning, self.labels)
        for labels, (created, value) in state.items():
            family.series(labels, created).value = value
        return family


class Distribution:
    """One series of a histogram. ``bounds`` are upper ones, each part of its bucket; ``created`` in Unix seconds."""

    __slots__ = ("_bounds", "counts", "created", "total")

    def __init__(self, bounds: tuple[float, ...], created: float) -> None:
        self._bounds = bounds
        self.created = created
        self.counts = [0] * (len(bounds) + 1)
        """How many amounts fell into each bucket; the last one has no upper bound."""
        self.total = 0.0
        """The sum of the amounts."""

    def observe(self, amount: float) -> None:
        """Count an amount."""
        # As ``bisect_left``, which costs several times as much when it is called from compiled code.
        bounds, low, high = self._bounds, 0, len(self._bounds)
        while low < high:
            middle = (low + high) >> 1
            if bounds[middle] < amount:
                low = middle + 1
            else:
                high = middle
        self.counts[low] += 1
        self.total += amount


class HistogramFamily:
    """A histogram with these upper bounds, rising. A series is shown once it has counted something."""

    kind: Literal["histogram"] = "histogram"

    def __init__(self, name: str, meaning: str, labels: Labels, bounds: Sequence[float]) -> None:
        self.name, self.meaning, self.labels = name, meaning, labels
        self._bounds = tuple(float(bound) for bound in bounds)
        self._shown_bounds = [_shown(bound) for bound in (*self._bounds, float("inf"))]
        self._series: dict[Labels, Distribution] = {}

    def series(self, labels: Labels, now: float) -> Distribution:
        """The series of these labels, made at the Unix time ``now`` if there is none."""
        found = self._series.get(labels)
        if found is None:
            found = self._series[labels] = Distribution(self._bounds, now)
        return found

    def describe(self) -> Iterator[Metric]:
        """See ``Family.describe``."""
        yield HistogramMetricFamily(self.name, self.meaning, labels=self.labels)

    def collect(self) -> Iterator[Metric]:
        """See ``Family.collect``."""
        shown = HistogramMetricFamily(self.name, self.meaning, labels=self.labels)
        for labels, series in self._series.items():
            if any(series.counts):
                shown.add_metric(labels, self._cumulative(series), series.total)
                shown.add_sample(
                    f"{self.name}_created", dict(zip(self.labels, labels, strict=True)), value=series.created
                )
        yield shown

    def state(self) -> State:
        """See ``Family.state``: when it began, the sum, and how many amounts fell into each bucket."""
        return {
            labels: [series.created, series.total, *series.counts]
            for labels, series in self._series.items()
            if any(series.counts)
        }

    def showing(self, state: State) -> Self:
        """See ``Family.showing``."""
        family = type(self)(self.name, self.meaning, self.labels, self._bounds)
        for labels, (created, total, *counts) in state.items():
            series = family.series(labels, created)
            series.total, series.counts = total, [int(count) for count in counts]
        return family

    def _cumulative(self, series: Distribution) -> list[tuple[str, float]]:
        buckets: list[tuple[str, float]] = []
        so_far = 0
        for bound, count in zip(self._shown_bounds, series.counts, strict=True):
            so_far += count
            buckets.append((bound, so_far))
        return buckets


class GaugeFamily:
    """A gauge: what is so at the moment of a scrape.

    Attributes:
        adds_up: Whether each process has a part of it; otherwise every process says the same.
    """

    kind: Literal["gauge"] = "gauge"

    def __init__(self, name: str, meaning: str, labels: Labels = (), *, adds_up: bool = False) -> None:
        self.name, self.meaning, self.labels, self.adds_up = name, meaning, labels, adds_up
        self._values: dict[Labels, float] = {}

    def set(self, labels: Labels, value: float) -> None:
        """Show ``value`` from now on."""
        self._values[labels] = value

    def add(self, labels: Labels, value: float) -> None:
        """Add to what is shown, which is 0 at first."""
        self._values[labels] = self._values.get(labels, 0) + value

    def clear(self) -> None:
        """Show no series any more."""
        self._values.clear()

    def describe(self) -> Iterator[Metric]:
        """See ``Family.describe``."""
        yield GaugeMetricFamily(self.name, self.meaning, labels=self.labels)

    def collect(self) -> Iterator[Metric]:
        """See ``Family.collect``."""
        shown = GaugeMetricFamily(self.name, self.meaning, labels=self.labels)
        for labels, value in self._values.items():
            shown.add_metric(labels, value)
        yield shown

    def state(self) -> State:
        """See ``Family.state``: its value."""
        return {labels: [value] for labels, value in self._values.items()}

    def showing(self, state: State) -> Self:
        """See ``Family.showing``."""
        family = type(self)(self.name, self.meaning, self.labels, adds_up=self.adds_up)
        for labels, (value,) in state.items():
            family.set(labels, value)
        return family


def _shown(bound: float) -> str:
    text: str = floatToGoString(bound)  # type: ignore[no-untyped-call]  # as the client's own histograms write it
    return text
