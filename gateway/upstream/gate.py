"""Who may go to a Runpod endpoint now, and who waits until a worker is awake.

While none is, as many calls as workers are needed go all the same: a call is what wakes a worker, so nothing is spent
on waking alone. These *scouts* are counted over all processes of one store. Everybody else waits in order, and is let
through as slots of awake workers come, so that those who have waited long are not refused for want of a slot.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine
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


class _Waiting:
    __slots__ = ("pass_", "spills", "tier")

    def __init__(self, tier: str, *, spills: bool) -> None:
        self.pass_: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.spills = spills
        self.tier = tier


class Gate:
    """The gate of one Runpod endpoint in this process."""

    def __init__(self, warmth: Warmth, wakes: Wakes) -> None:
        self.warmth = warmth
        self._wakes = wakes
        self._line: deque[_Waiting] = deque()
        self._scouts = 0
        self._claiming = False
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        warmth.listen(self.look)

    @property
    def open(self) -> bool:
        """Whether a call may go at once, past nobody who waits."""
        return self.warmth.ready and not self._line

    async def enter(self, tier: str, *, spills: bool) -> bool:
        """Wait until one may go, which counts as under way until ``leave``. Says whether one goes as a scout.

        ``spills`` is whether another tier would serve the call.

        Raises:
            TierCold: There is no point in waiting, or another tier may do better.
        """
        waiting = _Waiting(tier, spills=spills)
        self._line.append(waiting)
        self.warmth.waiting = len(self._line)
        try:
            self.look()
            return await waiting.pass_
        except asyncio.CancelledError:
            if waiting.pass_.done() and not waiting.pass_.cancelled() and waiting.pass_.exception() is None:
                self.leave(scout=waiting.pass_.result())
            raise
        finally:
            if waiting in self._line:
                self._line.remove(waiting)
            self.warmth.waiting = len(self._line)

    def leave(self, *, scout: bool) -> None:
        """A call that had gone is over."""
        self.warmth.under_way -= 1
        if scout:
            self._scouts -= 1
            self._begin(self._wakes.release(self.warmth.base, 1))
        if self._line:
            self.look()

    def look(self) -> None:
        """Let through whom the endpoint's condition lets through."""
        if not self._line:
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
        """Refuse those for whom waiting is in vain, or not the best that can be done."""
        outlook = self.warmth.outlook()
        for waiting in list(self._line):
            if outlook.hopeless or (waiting.spills and outlook.uncertain):
                self._line.remove(waiting)
                if not waiting.pass_.done():
                    waiting.pass_.set_exception(cold(waiting.tier, self.warmth))

    def _send_scouts(self) -> None:
        wanted = self.warmth.needed(len(self._line) + self._scouts) - self._scouts
        if wanted > 0 and self._line and not self._claiming:
            self._claiming = True
            self._begin(self._claim(wanted))

    async def _claim(self, wanted: int) -> None:
        try:
            granted = await self._wakes.claim(self.warmth.base, wanted, self._scouts + wanted)
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
        waiting = self._line.popleft()
        if waiting.pass_.done():
            return False
        self.warmth.under_way += 1
        self._scouts += scout
        waiting.pass_.set_result(scout)
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
