"""Reads the books and the bill, and holds them against each other."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from gateway.exchange import Clock
from gateway.gpu_seconds.runpod_bill import Billed, by_day
from gateway.gpu_seconds.statement import statement
from tiers.bill import Books, Line
from tiers.tiermap import TierMap

DAYS_MAX: Final = 39
"""Books are kept a day longer."""
DAY_SECONDS: Final = 86_400
CACHED_SECONDS: Final = 30.0
"""How old a bill may be that is shown: Runpod takes some 60 questions in a minute for a whole account."""

ReadBill = Callable[[float, float], Awaitable[list[Billed]]]
"""From one Unix time to another; raises ``BillUnreadable``."""
ReadBooks = Callable[[float, float], Awaitable[Mapping[tuple[str, str], Books]]]
"""The same of the books: (UTC day, endpoint's URL) → books. Raises ``StoreUnavailable``."""


class Reconciliation:
    """See the module; one for all who ask a process."""

    def __init__(
        self, *, bill: ReadBill, books: ReadBooks, tier_map: Callable[[], TierMap], clock: Clock, speed: float = 1.0
    ) -> None:
        """``speed``: seconds of Runpod's clock in each real one; an emulator's bill is asked for by its own days."""
        self._read_bill = bill
        self._read_books = books
        self._tier_map = tier_map
        self._clock = clock
        self._ahead = DAYS_MAX * DAY_SECONDS if speed > 1 else 0
        self._one = asyncio.Lock()
        self._latest: dict[tuple[float, float], tuple[float, list[Line]]] = {}

    async def lines(self, since_unix: float, until_unix: float | None = None) -> list[Line]:
        """Every line from the UTC day of ``since_unix`` to that of ``until_unix``, which is today where none is given.

        Raises:
            BillUnreadable: Runpod's bill cannot be had.
            StoreUnavailable: The books cannot.
        """
        now = self._clock.unix()
        since, until = midnight(since_unix), end_of_day(now if until_unix is None else until_unix)
        async with self._one:  # whoever asks meanwhile shares the answer
            at = self._clock.monotonic()
            kept = {span: each for span, each in self._latest.items() if at - each[0] < CACHED_SECONDS}
            if (since, until) not in kept:
                billed = await self._read_bill(since, min(until, end_of_day(now)) + self._ahead)
                books = await self._read_books(since, until)
                kept[since, until] = at, statement(self._tier_map(), books, by_day(billed))
            self._latest = kept
            return kept[since, until][1]


def midnight(unix: float) -> float:
    """The beginning of its UTC day."""
    return datetime.fromtimestamp(unix, UTC).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()


def end_of_day(unix: float) -> float:
    """The end of its UTC day; of one that ends just then, that end."""
    begin = midnight(unix)
    return begin if unix == begin else begin + DAY_SECONDS


def of_tier(lines: Sequence[Line], tier: str | None) -> list[Line]:
    """Those of one tier, or all where none is named."""
    return [line for line in lines if tier is None or line.tier == tier]
