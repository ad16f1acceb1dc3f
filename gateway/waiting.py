"""Slots as admission claims them, and who waits for them in this process."""

import asyncio
from typing import Final

from gateway.budget.ledger import LIFE_SECONDS_MAX, SlotClaim, owner_slot
from tiers.fairness import FairLine, Place
from tiers.tiermap import Tier

RESERVATION_GRACE_SECONDS: Final = 15.0
"""How much longer than its request's deadline a reservation lives: the time to settle it."""


class TierSlots(SlotClaim):
    """A slot of one tier as every request there claims it, and those of this process who wait for one.

    All that a request reads of it where nobody waits stands in this one object.

    Attributes:
        life_seconds: How long a reservation of the tier lives.
        line, crowded: Who waits in line for the tier's slots, and whether anybody does.
        aside: How many wait for something else first: for a slot of their owner's, or for a minute to go by.
        freed, freed_since: Wakes the first in line; whether a slot was given back since it last was.
    """

    __slots__ = ("aside", "crowded", "freed", "freed_since", "life_seconds", "line", "turns")

    def __init__(self, tier: Tier) -> None:
        super().__init__(name=tier.name, capacity=tier.slots)
        life = tier.timeouts.total + tier.queue.wait_seconds + RESERVATION_GRACE_SECONDS
        self.life_seconds = min(life, LIFE_SECONDS_MAX)
        self.crowded = self.freed_since = False
        self.line = FairLine()
        self.turns: dict[Place, Turn] = {}
        self.aside = 0
        self.freed = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many wait, for whatever."""
        return len(self.line) + self.aside

    async def next_freed(self, seconds: float) -> None:
        """Wait until a slot is given back here, but no longer than ``seconds``."""
        if not self.freed_since:
            try:
                async with asyncio.timeout(seconds):
                    await self.freed.wait()
            except TimeoutError:
                return
        self.freed.clear()
        self.freed_since = False

    def pass_on(self) -> None:
        """Who was first is it no longer: what was given back meanwhile is the new first one's."""
        self.freed_since = True
        self.freed.set()

    def stand(self, turn: "Turn") -> None:
        """Stand in line, at the place that is the turn's."""
        turn.aside = False
        self.line.rejoin(turn.place)
        self.turns[turn.place] = turn
        self._look()

    def step_out(self, turn: "Turn", *, served: bool) -> None:
        """Leave the line, if it is stood in."""
        if self.turns.pop(turn.place, None) is not None:
            self.line.leave(turn.place, served=served)
            self._look()

    def _look(self) -> None:
        first = self.line.first
        self.crowded = first is not None
        if first is not None:
            self.turns[first].come.set()


class Turn:
    """One who waits.

    Attributes:
        place: In the tier's line.
        come: Set when it is first in line, or has to go.
        displaced: Whether it has to go, for one whose agent has fewer waiting.
        aside: Whether it waits for something else than the tier's slots.
    """

    __slots__ = ("aside", "come", "displaced", "place")

    def __init__(self, place: Place) -> None:
        self.place = place
        self.come = asyncio.Event()
        self.displaced = False
        self.aside = False


class OwnerSlot(SlotClaim):
    """A slot of an owner under a concurrency limit."""

    __slots__ = ("limit", "owner")

    def __init__(self, limit: str, owner: str, capacity: int) -> None:
        super().__init__(name=owner_slot(limit, owner), capacity=capacity)
        self.limit = limit
        self.owner = owner
