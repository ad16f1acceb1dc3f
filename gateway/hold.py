"""Between the choice of an endpoint and admission: a request for which no worker is awake waits here for one.

It holds no slot and no budget meanwhile. Its deadline ends the wait like anything else; where waiting is in vain it is
refused with the error that sends it to the next tier, if it has one. That holds for those, too, who went to wake a
worker, as long as they have no answer.
"""

from weakref import WeakValueDictionary

from gateway.downstream import Client, Presence
from gateway.errors import TierCold
from gateway.exchange import Clock, Exchange
from gateway.heartbeat import Heartbeats
from gateway.upstream.gate import Gate, Turn, Wakes, cold
from gateway.upstream.station import Station
from gateway.upstream.waking import Waker
from gateway.upstream.warmth import Warmth
from tiers.tiermap import Tier


class Passage:
    """One try at an endpoint whose workers may sleep; enter ``scope`` around it.

    Attributes:
        scope: Ends with ``TierCold`` where the endpoint gives no hope any more.
        entered: Whether the request has gone through the gate.
    """

    def __init__(self, hold: "Hold", exchange: Exchange, tier: Tier, station: Station, client: Client) -> None:
        self._hold = hold
        self._exchange = exchange
        self._tier = tier
        self._station = station
        self._gate: Gate | None = None
        self._turn: Turn | None = None
        call = exchange.call
        waits = call is not None and call.stream and not exchange.responded
        self._heartbeat = hold.heartbeats.watch(client, tier.name) if waits else None
        self.scope = Presence()

    @property
    def entered(self) -> bool:
        """See the class."""
        return self._gate is not None

    async def enter(self) -> None:
        """Wait until the request may go.

        Raises:
            TierCold: No worker is awake, and the request does not wait for one.
        """
        warmth = self._station.warmth
        if warmth is None:
            raise RuntimeError("A request waits for an endpoint that never sleeps.")
        self._exchange.at_runpod = True
        gate = self._hold.gate(warmth)
        if gate.open:
            warmth.under_way += 1
        else:
            self._turn = await self._wait(gate, warmth)
            self._turn.recall = self._recall
        self._gate = gate

    async def answered(self) -> None:
        """The answer has begun: it is the client's from now on."""
        if self._turn is not None:
            self._turn.recall = None
        if self._heartbeat is not None:
            await self._heartbeat.stop()

    async def over(self) -> None:
        """The try has ended, wherever; called once."""
        if self._gate is not None:
            self._gate.leave(self._turn)
        await self.answered()

    async def _wait(self, gate: Gate, warmth: Warmth) -> Turn:
        exchange, tier, clock = self._exchange, self._tier, self._hold.clock
        spills = exchange.candidates[-1].tier is not tier
        if spills and (tier.cold == "spill" or warmth.outlook().seconds > exchange.due - clock.monotonic()):
            self._hold.waker.wake_later(self._station)
            raise cold(tier.name, warmth)
        turn = Turn(tier.name, spills=spills)
        begun = clock.monotonic()
        exchange.held = warmth.retry_after()
        try:
            await gate.enter(turn)
        finally:
            exchange.held_seconds += clock.monotonic() - begun
        exchange.held = None
        return turn

    def _recall(self, error: TierCold) -> None:
        self.scope.interrupt(error)


class Hold:
    """Holds requests for all Runpod endpoints of one process, whatever generation of the tier map they came under."""

    def __init__(self, *, wakes: Wakes, waker: Waker, heartbeats: Heartbeats, clock: Clock) -> None:
        self.waker = waker
        self.heartbeats = heartbeats
        self.clock = clock
        self._wakes = wakes
        # A gate lives as long as what it listens to.
        self._gates: WeakValueDictionary[str, Gate] = WeakValueDictionary()

    def passage(self, exchange: Exchange, tier: Tier, station: Station, client: Client) -> Passage:
        """The way of one try to ``station``, an endpoint whose workers may sleep."""
        return Passage(self, exchange, tier, station, client)

    def gate(self, warmth: Warmth) -> Gate:
        """The gate of an endpoint."""
        gate = self._gates.get(warmth.base)
        if gate is None or gate.warmth is not warmth:
            gate = self._gates[warmth.base] = Gate(warmth, self._wakes)
        return gate
