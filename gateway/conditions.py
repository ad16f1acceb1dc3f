"""How every tier and its endpoints are now, and waking them; the handlers in ``api`` show it."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from gateway.api import EndpointShown, SampleShown, TierShown, Woken
from gateway.budget.ledger import Ledger
from gateway.errors import ModelNotFound, StoreUnavailable, TierNotAllowed
from gateway.exchange import Caller, Clock
from gateway.upstream.fleet import Fleet
from gateway.upstream.station import Station
from gateway.upstream.waking import Waker, to_wake
from gateway.upstream.warmth import Warmth
from tiers.tiermap import Tier

STORE_SECONDS: Final = 0.5
"""How long the number of slots that are held is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Asks the parts of one running gateway process, whatever its tier map is by now.

    Attributes:
        tier_map: The tiers that are served, by name.
        fleet: All endpoints of theirs.
        queue_lengths: How many requests wait for a slot of each tier in this process.
    """

    tier_map: Callable[[], Mapping[str, Tier]]
    fleet: Callable[[], Fleet]
    queue_lengths: Callable[[], Mapping[str, int]]
    ledger: Ledger
    waker: Waker
    clock: Clock

    async def tiers(self, caller: Caller) -> list[TierShown]:
        """The tiers that the caller may use, in the tier map's order."""
        tiers = [tier for tier in self.tier_map().values() if caller.tiers is None or tier.name in caller.tiers]
        held: dict[str, int] = {}
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(STORE_SECONDS):
                held = await self.ledger.slots_held([tier.name for tier in tiers])
        queued = self.queue_lengths()
        return [
            TierShown(
                name=tier.name,
                model=tier.model,
                slots=tier.slots,
                slots_held=held.get(tier.name),
                queue_length=queued.get(tier.name, 0),
                endpoints=[self._shown(station) for station in self._stations(tier.name)],
            )
            for tier in tiers
        ]

    async def wake(self, caller: Caller, name: str) -> Woken:
        """Have a worker of a tier woken, unless the tier can serve at once: then or soon it is awake.

        Raises:
            ModelNotFound: There is no such tier.
            TierNotAllowed: The caller's key may not use it.
            RateLimited: The caller's key has had too many workers woken.
            StoreUnavailable: Nobody can say how many.
            UpstreamFailed: The endpoint did not hear it.
        """
        tier = self._tier(caller, name)
        stations = self._stations(name)
        sleeper, sent, seconds = to_wake(stations), False, 0.0
        if sleeper is not None and sleeper.warmth is not None:
            sent = await self.waker.wake_ahead(sleeper, caller.name)
            seconds = sleeper.warmth.outlook().seconds
        return Woken(
            tier=tier.name,
            awake=sleeper is None,
            sent=sent,
            expected_seconds=round(seconds, 1),
            endpoints=[self._shown(station) for station in stations],
        )

    def _tier(self, caller: Caller, name: str) -> Tier:
        tier = self.tier_map().get(name)
        if tier is None:
            raise ModelNotFound(f"There is no tier called {name!r}.", param="tier")
        if caller.tiers is not None and name not in caller.tiers:
            raise TierNotAllowed(f"The key {caller.name!r} may not use the tier {name!r}.", param="tier")
        return tier

    def _stations(self, tier: str) -> list[Station]:
        return [station for station in self.fleet().stations() if station.health.tier == tier]

    def _shown(self, station: Station) -> EndpointShown:
        endpoint, warmth = station.endpoint, station.warmth
        if warmth is None:
            return EndpointShown(
                name=endpoint.name,
                transport=endpoint.transport,
                breaker=station.health.state,
                in_flight=station.meter.in_flight,
            )
        return EndpointShown(
            name=endpoint.name,
            transport=endpoint.transport,
            breaker=station.health.state,
            in_flight=station.meter.in_flight,
            state=warmth.state.value,
            since_unix=round(self._unix(warmth.since), 3),
            held=warmth.waiting + warmth.waiting_elsewhere,
            workers_max=warmth.workers.max,
            slots_per_worker=warmth.workers.slots,
            wake_expected_seconds=round(warmth.wake_seconds(), 1),
            sample=self._sample(warmth),
        )

    def _sample(self, warmth: Warmth) -> SampleShown | None:
        sample = warmth.sample
        if sample is None:
            return None
        return SampleShown(
            age_seconds=round(self.clock.monotonic() - warmth.sampled_at, 3),
            workers={
                "idle": sample.idle,
                "initializing": sample.initializing,
                "ready": sample.ready,
                "running": sample.running,
                "throttled": sample.throttled,
                "unhealthy": sample.unhealthy,
            },
            jobs={"in_queue": sample.in_queue, "in_progress": sample.in_progress},
        )

    def _unix(self, monotonic: float) -> float:
        return self.clock.unix() - (self.clock.monotonic() - monotonic)
