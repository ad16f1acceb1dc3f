"""Slots are leases: those of attempts that take long are renewed here, once for all in a while.

An attempt that is over before its lease is never renewed. What a process that dies had is free when its leases are
over; where the store is away for longer than that, slots are taken up again with the first renewal that it answers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from gateway.budget.ledger import SLOT_LEASE_SECONDS, Claim, Ledger
from gateway.errors import StoreUnavailable

RENEWALS_PER_LEASE = 3


class Leases:
    """The claims of this process whose attempts are under way."""

    def __init__(
        self,
        ledger: Ledger,
        live: Mapping[str, Claim],
        *,
        lease_seconds: float = SLOT_LEASE_SECONDS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``live`` has the claims by their ids: put in when taken, and taken out when settled. ``sleep`` waits for so
        many seconds.
        """
        self._live = live
        self._ledger = ledger
        self._interval = lease_seconds / RENEWALS_PER_LEASE
        self._sleep = sleep

    async def run(self) -> None:
        """Renew until cancelled."""
        seen: set[str] = set()
        while True:
            await self._sleep(self._interval)
            # One that came since the last look has most of its lease still before it.
            due = [claim for name, claim in self._live.items() if name in seen]
            seen = set(self._live)
            if due:
                try:
                    await self._ledger.renew(due)
                except StoreUnavailable:
                    continue
