"""What the gateway tells of itself: readiness, the scrape, balances and records. The handlers in ``api`` show it."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gateway.api import Readiness
from gateway.budget.ledger import Balance, Ledger
from gateway.errors import StoreUnavailable
from gateway.exchange import Clock
from gateway.settle import Settler
from gateway.store import Store
from gateway.succession import Succession
from gateway.telemetry.log import Log
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.records import RecordStore
from gateway.telemetry.resident import resident_bytes
from gateway.telemetry.shared import SharedSeries
from gateway.telemetry.snapshot import Snapshot
from tiers.tiermap import TierMap

CHECK_SECONDS = 0.5
"""How long readiness and a scrape wait for the store: less than the second that Kubernetes gives a probe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Asks the parts of one running gateway process.

    Attributes:
        draining: Set once no new request should come.
        shared: Where the series of all processes come together; ``None`` where this is the only one.
    """

    succession: Succession
    settler: Settler
    ledger: Ledger
    records: RecordStore
    store: Store
    metrics: Metrics
    log: Log
    draining: asyncio.Event
    clock: Clock
    shared: SharedSeries | None = None

    async def readiness(self) -> Readiness:
        """Whether a request can be taken now; answers within ``CHECK_SECONDS``."""
        checks = {"gateway": "draining" if self.draining.is_set() else "ok", "store": await self._store_check()}
        return Readiness(
            ready=all(check == "ok" for check in checks.values()), checks=checks, tier_map=self._map_shown()
        )

    async def scrape(self) -> bytes:
        """The metrics' exposition text; without budgets and slots where the store does not answer in time.

        What is shown is written down for the other processes first, so that none of them ever shows less than another
        has shown before, also where this one is killed.
        """
        found: Sequence[Balance] | None = None
        held: dict[str, int] = {}
        ping_seconds: float | None = None
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(CHECK_SECONDS):
                asked = self.clock.monotonic()
                await self.store.ping()
                ping_seconds = self.clock.monotonic() - asked
                found, held = await self.balances(), await self.ledger.slots_held(list(self._tier_map.tiers))
        self._measure()
        others: Sequence[Snapshot] = ()
        if self.shared is not None:
            self.shared.write(self.metrics.snapshot())
            others = self.shared.others()
        return self.metrics.render(balances=found, slots_held=held, others=others, ping_seconds=ping_seconds)

    def share(self) -> None:
        """Write this process's series down for the other processes, where there are any."""
        if self.shared is not None:
            self._measure()
            self.shared.write(self.metrics.snapshot())

    def _measure(self) -> None:
        stations = self.succession.current.fleet.stations()
        self.metrics.measure_endpoints([station.health for station in stations])
        self.metrics.warmth.measure(
            [
                (station.health.tier, station.endpoint.name, station.warmth)
                for station in stations
                if station.warmth is not None
            ],
            self.clock.unix(),
        )
        self.metrics.measure(
            queue_lengths=self.queue_lengths(),
            unsettled=self.settler.unsettled,
            tasks=len(asyncio.all_tasks()),
            resident_bytes=resident_bytes(),
        )

    async def balances(self) -> list[Balance]:
        """Every budget's balances in the current window. Raises ``StoreUnavailable``."""
        return await self.ledger.balances(self._tier_map.budgets)

    async def recent(self, key: str, run: str | None, limit: int) -> list[dict[str, Any]]:
        """A key's latest records, oldest first. Raises ``StoreUnavailable``."""
        return await self.records.recent(key=key, run=run, limit=limit)

    @property
    def _tier_map(self) -> TierMap:
        return self.succession.current.tier_map

    def queue_lengths(self) -> dict[str, int]:
        """How many requests wait for a slot of each tier in this process.

        Those who wait under an earlier tier map wait for the same slots.
        """
        lengths: Counter[str] = Counter()
        for generation in self.succession.living:
            lengths.update(generation.admit.queue_lengths())
        return {name: lengths[name] for name in self._tier_map.tiers}

    def _map_shown(self) -> dict[str, object]:
        """The problems of a map that cannot be served are in the log and for the admin: they may name files."""
        served, rejected = self.succession.current.served, self.succession.rejected
        return {
            "generation": served.generation,
            "hash": served.hash,
            "loaded_unix": served.loaded_unix,
            "rejected": None if rejected is None else {"hash": rejected.hash, "since_unix": rejected.since_unix},
        }

    async def _store_check(self) -> str:
        """What ``/readyz`` says of the store: no more than whom it is shown to may know. The log has the rest."""
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self.store.ping()
        except (StoreUnavailable, TimeoutError) as error:
            message = str(error) or "no answer in time"
            self.log.event("store.unavailable", store=self.store.description, message=message)
            return "does not answer: without the Valkey or Redis that keeps budgets and slots nothing is served"
        return "ok"
