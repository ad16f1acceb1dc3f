"""Series of alerts: how often a webhook was to be told that a budget is spent to a part, and what came of it."""

from collections.abc import Sequence

from gateway.telemetry.series import CounterFamily, Family


class AlertSeries:
    """The series; ``families`` are all of them, in the order in which they are exposed."""

    def __init__(self) -> None:
        self._alerts = CounterFamily(
            "tiergate_budget_alerts_total", "Tries to post an alert of a budget, by what came of them.",
            ("budget", "result"),
        )  # fmt: skip
        self.families: Sequence[Family] = (self._alerts,)

    def count(self, budget: str, result: str, now: float) -> None:
        """One try ended at the Unix time ``now``: ``sent``, ``failed`` or ``given_up``."""
        self._alerts.series((budget, result), now).value += 1
