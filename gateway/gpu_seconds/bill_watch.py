"""Shows the latest days' reconciliation as metrics: read now and then, beside requests."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from gateway.errors import StoreUnavailable
from gateway.exchange import Clock
from gateway.gpu_seconds.reconciliation import DAY_SECONDS, Reconciliation
from gateway.gpu_seconds.runpod_bill import BillUnreadable
from tiers.bill import Line

LOOK_SECONDS: Final = 600.0
"""How often the bill is read: Runpod's buckets grow by hours."""
DAYS: Final = 7
"""So many UTC days are shown together, with today."""


class BillWatch:
    """Its owner runs ``run`` beside requests."""

    def __init__(
        self,
        reconciliation: Reconciliation,
        *,
        show: Callable[[Sequence[Line]], None],
        clock: Clock,
        report: Callable[..., None],
    ) -> None:
        self._reconciliation = reconciliation
        self._show = show
        self._clock = clock
        self._report = report
        self._failing = False

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Show what is known now; what cannot be read stays as it was shown, and is told once."""
        try:
            lines = await self._reconciliation.lines(self._clock.unix() - (DAYS - 1) * DAY_SECONDS)
        except (BillUnreadable, StoreUnavailable) as error:
            if not self._failing:
                self._report("bill.unreadable", message=str(error))
            self._failing = True
            return
        self._failing = False
        self._show(lines)
