"""What an announcement of tiers does: a tier that sleeps is woken as a request would wake it, once for all who need it.

Nothing of it is on a request's way. Each tier is looked at by itself: that one of them is unknown, or cannot be woken,
keeps no other asleep.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gateway.errors import GatewayError, ModelNotFound, TierNotAllowed
from gateway.exchange import Caller, Clock
from gateway.upstream.fleet import Fleet
from gateway.upstream.gate import cold
from gateway.upstream.health import Report
from gateway.upstream.waking import Waker, to_wake
from gateway.wake_api import Announced
from tiers.tiermap import TierMap


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcements:
    """Takes them for one process, whatever its tier map is by now.

    Attributes:
        tier_map: The one that is served.
        fleet: All endpoints of its tiers.
        count: Is told the tier, what became of it, and the Unix time.
    """

    tier_map: Callable[[], TierMap]
    fleet: Callable[[], Fleet]
    waker: Waker
    clock: Clock
    count: Callable[[str, str, float], None]
    report: Report

    async def __call__(self, caller: Caller, names: Sequence[str], run: str) -> list[Announced]:
        """What became of each name, in their order; a tier that is named twice is looked at once."""
        known = self.tier_map().names
        tiers = {name: known[name][0].name if name in known else "" for name in names}
        looked_at = {tier or name: name for name, tier in reversed(tiers.items())}
        async with asyncio.TaskGroup() as group:
            tasks = {key: group.create_task(self._one(caller, name, tiers[name])) for key, name in looked_at.items()}
        for task in tasks.values():
            self.count(task.result().tier, task.result().state, self.clock.unix())
        told = [replace(tasks[tier or name].result(), name=name) for name, tier in tiers.items()]
        self._log(caller, run, told)
        return told

    async def _one(self, caller: Caller, name: str, tier: str) -> Announced:
        try:
            return await self._woken(caller, name, tier)
        except GatewayError as error:
            return Announced(name=name, tier=tier, state="refused", code=error.code, message=error.message)

    async def _woken(self, caller: Caller, name: str, tier: str) -> Announced:
        if not tier:
            raise ModelNotFound(f"No tier, alias or model is called {name!r} here.", param="tiers")
        if caller.tiers is not None and tier not in caller.tiers:
            raise TierNotAllowed(f"The key {caller.name!r} may not use the tier {tier!r}.", param="tiers")
        stations = [station for station in self.fleet().stations() if station.health.tier == tier]
        sleeper = to_wake(stations)
        if sleeper is None or sleeper.warmth is None:
            sleepless = any(station.warmth is None for station in stations)
            return Announced(name=name, tier=tier, state="never_sleeps" if sleepless else "awake")
        outlook = sleeper.warmth.outlook()
        if outlook.hopeless or outlook.uncertain:  # asking again brings no worker; a request that needs it will try
            raise cold(tier, sleeper.warmth)
        sent = await self.waker.wake_ahead(sleeper, caller.name)
        seconds = round(sleeper.warmth.outlook().seconds, 1)
        return Announced(name=name, tier=tier, state="woken" if sent else "waking", expected_seconds=seconds)

    def _log(self, caller: Caller, run: str, told: Sequence[Announced]) -> None:
        """Say what was done, and what was not; that there was nothing to do is counted alone."""
        woken = [each.tier for each in told if each.state == "woken"]
        refused = Counter(each.code for each in told if each.state == "refused")
        if woken or refused:
            self.report("tiers.announced", key=caller.name, run=run, woken=woken, refused=dict(refused))
