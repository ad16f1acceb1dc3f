"""Series of Runpod's bill, and of what was seen of it: sums over the latest days, by tier."""

from collections.abc import Callable, Sequence

from gateway.telemetry.series import Family, GaugeFamily
from tiers.bill import Line

MILLISECONDS = 1000
MICRODOLLARS = 1_000_000


class BillSeries:
    """The series; ``families`` are all of them, in the order in which they are exposed."""

    def __init__(self) -> None:
        tier = ("tier",)
        self._attributed = GaugeFamily(
            "tiergate_bill_attributed_seconds", "Worker seconds of the latest days that requests owe.", tier
        )
        self._overhead = GaugeFamily(
            "tiergate_bill_overhead_seconds",
            "Worker seconds of the latest days that no request owes.",
            (*tier, "state"),
        )
        self._billed = GaugeFamily(
            "tiergate_bill_billed_seconds", "Worker seconds of the latest days that Runpod billed.", tier
        )
        self._usd = GaugeFamily("tiergate_bill_billed_usd", "What Runpod billed for the latest days.", tier)
        self._drift = GaugeFamily(
            "tiergate_bill_drift_ratio", "The part of the latest days' bill that was not seen.", tier
        )
        self.families: Sequence[Family] = (self._attributed, self._overhead, self._billed, self._usd, self._drift)

    def show(self, lines: Sequence[Line]) -> None:
        """Show these in place of all others."""
        for family in (self._attributed, self._overhead, self._billed, self._usd, self._drift):
            family.clear()
        tiers: dict[str, list[Line]] = {}
        for line in lines:
            tiers.setdefault(line.tier, []).append(line)
        for name, own in tiers.items():
            billed = _sum(own, lambda line: line.billed)
            self._attributed.set((name,), _sum(own, lambda line: line.attributed) / MILLISECONDS)
            self._overhead.set((name, "starting"), _sum(own, lambda line: line.starting) / MILLISECONDS)
            self._overhead.set((name, "idle"), _sum(own, lambda line: line.idle) / MILLISECONDS)
            self._billed.set((name,), billed / MILLISECONDS)
            self._usd.set((name,), _sum(own, lambda line: line.billed_microdollars) / MICRODOLLARS)
            if billed:
                self._drift.set((name,), _sum(own, lambda line: line.unexplained) / billed)


def _sum(lines: Sequence[Line], amount: Callable[[Line], int]) -> int:
    return sum(map(amount, lines))
