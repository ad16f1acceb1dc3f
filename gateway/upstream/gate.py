"""Who may go to a Runpod endpoint now, and who waits until a worker is awake.

While none is, as many calls as workers are needed go all the same: a call is what wakes a worker, so nothing is spent
on waking alone. These *scouts* are counted over all processes of one store. Everybody else waits in order, and is let
through as slots of awake workers come, so that those who have waited long are not refused for want of a slot.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from gateway.errors import TierCold
from gateway.upstream.warmth import Warmth

LOOK_SECONDS: Final = 1.0
"""How often it is looked whether scouts of other processes are back, and what may be hoped for."""


class Wakes(Protocol):
    """How many scouts are out, over all processes."""

    async def claim(self, base: str, wanted: int, outstanding_max: int) -> int:
        """How many of ``wanted`` scouts may go, so that no more than ``outstanding_max`` are out."""

    async def release(self, base: str, count: int) -> None:
        """So many are back."""


class Turn:
    """One call at the gate: it waits, or it is under way.

    Attributes:
        tier: Its tier's name.
        spills: Whether another tier would serve it.
        scout: Whether it went while no worker was awake.
        recall: Ends a scout's way, while it has no answer.
    """

    __slots__ = ("may_go", "recall", "scout", "spills", "tier")

    def __init__(self, tier: str, *, spills: bool) -> None:
        self.may_go: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.tier = tier
        self.spills = spills
        self.scout = False
        self.recall: Callable[[TierCold], None] | None = None


class Gate:
    """The gate of one Runpod endpoint in this process."""

    def __init__(self, warmth: Warmth, wakes: Wakes) -> None:
        self.warmth = warmth
        self._wakes = wakes
        self._line: deque[Turn] = deque()
        self._scouts: set[Turn] = set()
        self._claiming = False
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        warmth.listen(self.look)

    @property
    def open(self) -> bool:
        """Whether a call may go at once, past nobody who waits."""
        return self.warmth.ready and not self._line

    async def enter(self, turn: Turn) -> None:
        """Wait until it may go. From then on it is under way until ``leave``.

        Raises:
            TierCold: There is no point in waiting, or another tier may do better.
        """
        self._line.append(turn)
        self.warmth.waiting = len(self._line)
        try:
            self.look()
            await turn.may_go
        except asyncio.CancelledError:
            if turn.may_go.done() and not turn.may_go.cancelled() and turn.may_go.exception() is None:
                self.leave(turn)
            raise
        finally:
            if turn in self._line:
                self._line.remove(turn)
            self.warmth.waiting = len(self._line)

    def leave(self, turn: Turn | None) -> None:
        """A call that had gone is over; ``None`` is one that found the gate open."""
        self.warmth.under_way -= 1
        if turn is not None and turn.scout:
            self._scouts.discard(turn)
            self._begin(self._wakes.release(self.warmth.base, 1))
        if self._line:
            self.look()

    def look(self) -> None:
        """Let through whom the endpoint's condition lets through, and send away whom it gives no hope."""
        if not self._line and not self._scouts:
            return
        if self.warmth.ready:
            room = self.warmth.capacity() - self.warmth.under_way
            while self._line and room > 0:
                room -= self._let_go(scout=False)
        else:
            self._send_away()
            self._send_scouts()
        if self._line and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        self.look()

    def _send_away(self) -> None:
        """Refuse those for whom waiting is in vain, or not the best that can be done; call back scouts of that kind."""
        outlook = self.warmth.outlook()
        if not outlook.hopeless and not outlook.uncertain:
            return
        for turn in [each for each in self._line if outlook.hopeless or each.spills]:
            self._line.remove(turn)
            if not turn.may_go.done():
                turn.may_go.set_exception(cold(turn.tier, self.warmth))
        for turn in [each for each in self._scouts if outlook.hopeless or each.spills]:
            if turn.recall is not None:
                turn.recall(cold(turn.tier, self.warmth))

    def _send_scouts(self) -> None:
        wanted = self.warmth.needed(len(self._line) + len(self._scouts)) - len(self._scouts)
        if wanted > 0 and self._line and not self._claiming:
            self._claiming = True
            self._begin(self._claim(wanted))

    async def _claim(self, wanted: int) -> None:
        try:
            granted = await self._wakes.claim(self.warmth.base, wanted, len(self._scouts) + wanted)
        finally:
            self._claiming = False
        left = granted
        while left and self._line and not self.warmth.ready:
            left -= self._let_go(scout=True)
        if left:
            await self._wakes.release(self.warmth.base, left)
        if granted == wanted:
            self.look()  # more may have come meanwhile; where others are out, there is time to look again

    def _let_go(self, *, scout: bool) -> bool:
        """Let the first go, but for one who has just left by itself; says whether it went."""
        turn = self._line.popleft()
        if turn.may_go.done():
            return False
        self.warmth.under_way += 1
        turn.scout = scout
        if scout:
            self._scouts.add(turn)
        turn.may_go.set_result(None)
        return True

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def cold(tier: str, warmth: Warmth) -> TierCold:
    """The error for a call of ``tier`` that does not wait for a worker any longer."""
    outlook = warmth.outlook()
    return TierCold(
        f"No worker of the tier {tier!r} is awake{f': {outlook.reason}' if outlook.reason else ''}. Try again later.",
        retry_after_seconds=warmth.retry_after(),
    )
