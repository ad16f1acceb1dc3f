"""Endpoints that report more usage than their requests could take: counted, and told once a minute for each tier."""

from collections.abc import Callable

from gateway.exchange import Clock

EVERY_SECONDS = 60.0


class OverReports:
    """What is known of them, in one process."""

    def __init__(self, *, count: Callable[[str, float], None], clock: Clock, report: Callable[..., None]) -> None:
        """``count`` is told the tier and the Unix time of each; ``report`` of the first in a minute, and how many."""
        self._count = count
        self._clock = clock
        self._report = report
        self._told_at: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    def __call__(self, tier: str) -> None:
        """One more: the excess is not charged."""
        now = self._clock.monotonic()
        self._count(tier, self._clock.unix())
        self._untold[tier] = self._untold.get(tier, 0) + 1
        if tier not in self._told_at or now >= self._told_at[tier] + EVERY_SECONDS:
            self._told_at[tier] = now
            self._report("usage.over_reported", tier=tier, amounts=self._untold.pop(tier))
