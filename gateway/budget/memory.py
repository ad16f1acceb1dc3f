"""A ledger in the memory of one process, lost at its exit: for tests, trials and single-process set-ups."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gateway.budget.ledger import (
    ENDED_SECONDS,
    Answer,
    Balance,
    Claim,
    NoBudget,
    NoSlot,
    Reserved,
    check_amounts,
)
from tiers.holds import Hold
from tiers.tiermap import Budget

_KEPT_SECONDS = 2 * 86_400
"""How long a balance outlives its window: longer than any reservation made in it lives."""


class InMemoryLedger:
    """Fulfils ``gateway.budget.ledger.Ledger`` within one event loop; not for threads.

    ``clock`` returns unix seconds: the gateway's own ``Clock.unix``, or in a test one that the test moves.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._live: dict[str, _Reservation] = {}
        self._ended: dict[str, float] = {}
        self._deadlines: list[tuple[float, str]] = []
        self._balances: dict[_Account, _Sums] = {}
        self._old: list[tuple[float, _Account]] = []

    async def reserve(self, claim: Claim) -> Answer:
        """See ``Ledger.reserve``."""
        now = self._clock()
        self._sweep(now)
        if claim.id in self._live or claim.id in self._ended:
            return Reserved()
        accounts = [_account(hold, now) for hold in claim.holds]
        wanted: dict[_Account, int] = {}
        for hold, account in zip(claim.holds, accounts, strict=True):
            sums = self._balances.get(account, _NOTHING)
            available = hold.concern.limit - sums.settled - sums.held - wanted.get(account, 0)
            if hold.amount > available:
                return NoBudget(hold=hold, available=available, window_ends_in_seconds=account.ends - now)
            wanted[account] = wanted.get(account, 0) + hold.amount
        if claim.slot is not None:
            held = self._held(claim.slot.name, now)
            if held >= claim.slot.capacity:
                return NoSlot(held=held)
        for account, amount in wanted.items():
            self._sums(account).held += amount
        self._live[claim.id] = _Reservation(
            slot=None if claim.slot is None else claim.slot.name,
            deadline=now + claim.life_seconds,
            held=tuple((account, hold.amount) for hold, account in zip(claim.holds, accounts, strict=True)),
        )
        heapq.heappush(self._deadlines, (now + claim.life_seconds, claim.id))
        return Reserved()

    async def settle(self, claim: Claim, amounts: Sequence[int]) -> bool:
        """See ``Ledger.settle``."""
        check_amounts(claim, amounts)
        return self._end(claim.id, amounts)

    async def release(self, claim: Claim) -> bool:
        """See ``Ledger.release``."""
        if claim.id not in self._live:
            self._ended.setdefault(claim.id, self._clock())
            return False
        return self._end(claim.id, [0] * len(claim.holds))

    async def expire(self) -> int:
        """See ``Ledger.expire``."""
        return self._sweep(self._clock())

    async def balances(self, budgets: Sequence[Budget]) -> list[Balance]:
        """See ``Ledger.balances``."""
        now = self._clock()
        current = {(budget.unit, budget.name, budget.window_seconds): budget for budget in budgets}
        found = [
            Balance(
                budget=budget.name,
                owner=account.owner,
                unit=budget.unit,
                limit=budget.limit,
                settled=sums.settled,
                held=sums.held,
                window_ends_in_seconds=account.ends - now,
            )
            for account, sums in self._balances.items()
            if account.start <= now < account.ends
            and (budget := current.get((account.unit, account.budget, account.window_seconds)))
        ]
        return sorted(found, key=lambda balance: (balance.budget, balance.owner))

    async def slots_held(self, names: Sequence[str]) -> dict[str, int]:
        """See ``Ledger.slots_held``."""
        now = self._clock()
        return {name: self._held(name, now) for name in names}

    def _held(self, slot: str, now: float) -> int:
        return sum(1 for one in self._live.values() if one.slot == slot and one.deadline > now)

    def _sums(self, account: "_Account") -> "_Sums":
        if account not in self._balances:
            self._balances[account] = _Sums()
            heapq.heappush(self._old, (account.ends + _KEPT_SECONDS, account))
        return self._balances[account]

    def _end(self, claim_id: str, amounts: Sequence[int]) -> bool:
        reservation = self._live.pop(claim_id, None)
        if reservation is None:
            return False
        self._ended[claim_id] = self._clock()
        for (account, held), amount in zip(reservation.held, amounts, strict=True):
            sums = self._balances[account]
            sums.held -= held
            sums.settled += amount
        return True

    def _sweep(self, now: float) -> int:
        expired = 0
        while self._deadlines and self._deadlines[0][0] <= now:
            _, claim_id = heapq.heappop(self._deadlines)
            reservation = self._live.get(claim_id)
            if reservation is not None and reservation.deadline <= now:
                expired += self._end(claim_id, [amount for _, amount in reservation.held])
        while self._ended and next(iter(self._ended.values())) + ENDED_SECONDS <= now:
            del self._ended[next(iter(self._ended))]
        while self._old and self._old[0][0] <= now:
            del self._balances[heapq.heappop(self._old)[1]]
        return expired


class _Account(NamedTuple):
    """One owner's balance of one budget in one window."""

    start: int
    window_seconds: int
    unit: str
    budget: str
    owner: str

    @property
    def ends(self) -> int:
        return self.start + self.window_seconds


@dataclass(slots=True)
class _Sums:
    settled: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reservation:
    slot: str | None
    deadline: float
    held: tuple[tuple[_Account, int], ...]


_NOTHING = _Sums()


def _account(hold: Hold, now: float) -> _Account:
    concern = hold.concern
    start = int(now) - int(now) % concern.window_seconds
    return _Account(start, concern.window_seconds, concern.unit, concern.budget, concern.owner)
