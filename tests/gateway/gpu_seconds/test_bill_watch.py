import asyncio
from collections.abc import Sequence

from gateway.gpu_seconds.bill_watch import DAYS, BillWatch
from gateway.gpu_seconds.reconciliation import DAY_SECONDS, Reconciliation
from gateway.gpu_seconds.runpod_bill import Billed, BillUnreadable
from tests.doubles.clock import ManualClock
from tests.gateway.gpu_seconds.test_reconciliation import _no_books
from tests.gateway.gpu_seconds.test_statement import MAP
from tests.stores import eventually
from tiers.bill import Line


class Bed:
    """A watch over a bill of one endpoint; ``broken`` where it cannot be read."""

    def __init__(self) -> None:
        self.broken = False
        self.spans: list[float] = []
        self.shown: list[Sequence[Line]] = []
        self.told: list[str] = []
        clock = ManualClock()
        self.watch = BillWatch(
            Reconciliation(bill=self.bill, books=_no_books, tier_map=lambda: MAP, clock=clock),
            show=self.shown.append,
            clock=clock,
            report=self.report,
        )

    async def bill(self, since_unix: float, until_unix: float) -> list[Billed]:
        """A second's worth."""
        self.spans.append(until_unix - since_unix)
        if self.broken:
            raise BillUnreadable("It is away")
        return [Billed(day="2027-01-15", endpoint_id="abc", microdollars=310)]

    def report(self, event: str, **_: object) -> None:
        """Remember it."""
        self.told.append(event)


async def test_the_latest_days_are_shown() -> None:
    bed = Bed()
    task = asyncio.ensure_future(bed.watch.run())
    await eventually(lambda: bool(bed.shown))
    task.cancel()
    [[line]] = bed.shown
    assert (line.tier, line.billed) == ("reasoning", 1000)
    assert bed.spans == [DAYS * DAY_SECONDS]


async def test_what_cannot_be_read_is_told_once_and_leaves_what_was_shown() -> None:
    bed = Bed()
    bed.broken = True
    for _ in range(2):
        await bed.watch.look()
    assert (bed.told, bed.shown) == (["bill.unreadable"], [])
    bed.broken = False
    await bed.watch.look()
    assert len(bed.shown) == 1
