"""What is known of each Runpod endpoint, as long as a generation of the tier map calls it."""

from weakref import WeakValueDictionary

from gateway.exchange import Clock
from gateway.upstream.health import Report, untold
from gateway.upstream.runpod_times import RunpodTimes
from gateway.upstream.warmth import Warmth
from tiers.runpod_urls import health_base
from tiers.tiermap import Endpoint

_RUNPODS = ("runpod-queue", "runpod-load-balancer")


class Warmths:
    """One ``Warmth`` for each Runpod endpoint, shared by all tiers that call it, kept over generations."""

    def __init__(self, clock: Clock, *, times: RunpodTimes | None = None, report: Report = untold) -> None:
        """``report`` is told whenever an endpoint's state changes."""
        self._clock = clock
        self._times = times
        self._report = report
        self._known: WeakValueDictionary[str, Warmth] = WeakValueDictionary()

    def of(self, endpoint: Endpoint) -> Warmth | None:
        """What is known of it; ``None`` where it is not Runpod's."""
        if endpoint.transport not in _RUNPODS:
            return None
        base = health_base(endpoint.url) or endpoint.url
        warmth = self._known.get(base)
        if warmth is None:
            warmth = self._known[base] = Warmth(
                base=base,
                workers=endpoint.workers,
                clock=self._clock,
                balanced=endpoint.transport == "runpod-load-balancer",
                times=self._times,
                report=self._report,
            )
        warmth.workers = endpoint.workers
        if endpoint.name not in warmth.names:
            warmth.names.append(endpoint.name)
        return warmth
