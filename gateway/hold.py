"""Between the choice of an endpoint and admission: a request for which no worker is awake waits here for one.

It holds no slot and no budget meanwhile. Its deadline ends the wait like anything else; where waiting is in vain it is
refused with the error that sends it to the next tier, if it has one.
"""

from weakref import WeakValueDictionary

from gateway.exchange import Clock, Exchange
from gateway.upstream.gate import Gate, Wakes, cold
from gateway.upstream.station import Station
from gateway.upstream.waking import Waker
from gateway.upstream.warmth import Warmth
from tiers.tiermap import Tier


class Passage:
    """A request's way through the gate of its endpoint: under way until it is ``over``."""

    __slots__ = ("_gate", "_scout")

    def __init__(self, gate: Gate, *, scout: bool) -> None:
        self._gate = gate
        self._scout = scout

    def over(self) -> None:
        """The try has ended; called once."""
        self._gate.leave(scout=self._scout)


class Hold:
    """Holds requests for all Runpod endpoints of one process, whatever generation of the tier map they came under."""

    def __init__(self, *, wakes: Wakes, waker: Waker, clock: Clock) -> None:
        self._wakes = wakes
        self._waker = waker
        self._clock = clock
        # A gate lives as long as what it listens to.
        self._gates: WeakValueDictionary[str, Gate] = WeakValueDictionary()

    async def __call__(self, exchange: Exchange, tier: Tier, station: Station) -> Passage:
        """Wait until the request may go to ``station``, an endpoint whose workers may sleep.

        Raises:
            TierCold: No worker is awake, and the request does not wait for one.
        """
        warmth = station.warmth
        if warmth is None:
            raise RuntimeError("A request waits for an endpoint that never sleeps.")
        exchange.at_runpod = True
        gate = self._gate(warmth)
        if gate.open:
            warmth.under_way += 1
            return Passage(gate, scout=False)
        spills = exchange.candidates[-1].tier is not tier
        if spills and (tier.cold == "spill" or warmth.outlook().seconds > exchange.due - self._clock.monotonic()):
            self._waker.wake_later(station)
            raise cold(tier.name, warmth)
        begun = self._clock.monotonic()
        exchange.held = warmth.retry_after()
        try:
            scout = await gate.enter(tier.name, spills=spills)
        finally:
            exchange.held_seconds += self._clock.monotonic() - begun
        exchange.held = None
        return Passage(gate, scout=scout)

    def _gate(self, warmth: Warmth) -> Gate:
        gate = self._gates.get(warmth.base)
        if gate is None or gate.warmth is not warmth:
            gate = self._gates[warmth.base] = Gate(warmth, self._wakes)
        return gate
