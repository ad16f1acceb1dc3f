"""What one process has counted, as a value that another process can add to its own.

A series is written as its labels and some numbers. Of a total (a counter or a histogram) the first number is the Unix
time at which the series began; all others, and all of a gauge, can be added up.
"""

from collections.abc import Iterable
from typing import Self

import msgspec

Labels = tuple[str, ...]
"""The values of a family's labels, in the order of its ``labels``."""
State = dict[Labels, list[float]]
"""The series of one family."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All series of one process, or of several; by their family's name, then by their labels' values."""

    totals: dict[str, State] = msgspec.field(default_factory=dict)
    """Counters and histograms: they count what has happened, so they outlive their process."""
    gauges: dict[str, State] = msgspec.field(default_factory=dict)
    """What is so at this moment, as far as processes have parts of it that add up."""

    def ended(self) -> Self:
        """What is left of it when its process has ended."""
        return msgspec.structs.replace(self, gauges={})


def merged(snapshots: Iterable[Snapshot]) -> Snapshot:
    """The sum. A series that is in several began when the first of them did."""
    totals: dict[str, State] = {}
    gauges: dict[str, State] = {}
    for snapshot in snapshots:
        for name, state in snapshot.totals.items():
            _add(totals.setdefault(name, {}), state, began=True)
        for name, state in snapshot.gauges.items():
            _add(gauges.setdefault(name, {}), state, began=False)
    return Snapshot(totals=totals, gauges=gauges)


def _add(into: State, state: State, *, began: bool) -> None:
    for labels, numbers in state.items():
        found = into.get(labels)
        if found is None:
            into[labels] = numbers
            continue
        added = [one + other for one, other in zip(found, numbers, strict=True)]
        if began:
            added[0] = min(found[0], numbers[0])
        into[labels] = added
