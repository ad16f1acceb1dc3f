"""A ledger in the memory of one process, lost at its exit: for tests, trials and single-process set-ups."""

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gateway.budget.ledger import (
    ENDED_SECONDS,
    HOLDINGS_MAX,
    LIFE_SECONDS_MAX,
    SLOT_LEASE_SECONDS,
    Answer,
    Balance,
    Claim,
    Holding,
    NoBudget,
    NoSlot,
    Over,
    Reserved,
    check_amounts,
)
from tiers.holds import Concern, Hold
from tiers.tiermap import Budget
from tiers.windows import Window, bounds

_KEPT_SECONDS = 2 * 86_400
"""How long a balance outlives its window: longer than any reservation made in it lives."""


class InMemoryLedger:
    """Fulfils ``gateway.budget.ledger.Ledger`` within one event loop; not for threads.

    ``clock`` returns unix seconds: the gateway's own ``Clock.unix``, or in a test one that the test moves.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._live: dict[str, _Reservation] = {}
        self._ended: dict[str, tuple[str, float]] = {}
        """How, and until when that is remembered, by id."""
        self._forgotten_at: list[tuple[float, str]] = []
        self._deadlines: list[tuple[float, str]] = []
        self._balances: dict[_Account, _Sums] = {}
        self._old: list[tuple[float, int, _Account]] = []
        self._count = itertools.count()

    async def reserve(self, claim: Claim, line: str = "") -> Answer:  # noqa: ARG002 - of one process, which has one
        """See ``Ledger.reserve``."""
        now = self._clock()
        self._sweep(now)
        if claim.id in self._live or claim.id in self._ended:
            return Reserved()
        accounts = [_account(hold.concern, now) for hold in claim.holds]
        refused, shadowed = self._short(claim.holds, accounts, now)
        if refused is not None:
            return refused
        slots = (*([] if claim.slot is None else [claim.slot]), *claim.concerned.slots)
        for slot in slots:
            held = self._held(slot.name, now)
            if held >= slot.capacity:
                return NoSlot(held=held, slot=slot)
        for hold, account in zip(claim.holds, accounts, strict=True):
            self._sums(account).held += hold.amount
        self._live[claim.id] = _Reservation(
            slots=tuple(slot.name for slot in slots),
            deadline=now + claim.life_seconds,
            lease=now + min(SLOT_LEASE_SECONDS, claim.life_seconds),
            held=[(account, hold.amount) for hold, account in zip(claim.holds, accounts, strict=True)],
        )
        heapq.heappush(self._deadlines, (now + claim.life_seconds, claim.id))
        return Reserved(shadowed=shadowed)

    async def extend(self, claim: Claim, amounts: Sequence[int]) -> Reserved | NoBudget | Over:
        """See ``Ledger.extend``."""
        check_amounts(claim, amounts)
        now = self._clock()
        reservation = self._live.get(claim.id)
        if reservation is None or reservation.deadline <= now:
            return Over()
        more = [max(0, amount - held) for amount, (_, held) in zip(amounts, reservation.held, strict=True)]
        holds = [Hold(hold.concern, amount) for hold, amount in zip(claim.holds, more, strict=True)]
        refused, shadowed = self._short(holds, [account for account, _ in reservation.held], now, nothing_fits=True)
        if refused is not None:
            return refused
        raised = []
        for (account, held), amount in zip(reservation.held, more, strict=True):
            self._sums(account).held += amount
            raised.append((account, held + amount))
        reservation.held = raised
        return Reserved(shadowed=shadowed)

    async def renew(self, claims: Sequence[Claim]) -> None:
        """See ``Ledger.renew``."""
        now = self._clock()
        for claim in claims:
            reservation = self._live.get(claim.id)
            if reservation is not None and reservation.deadline > now:
                reservation.lease = min(now + SLOT_LEASE_SECONDS, reservation.deadline)

    async def book(self, claim: Claim, amounts: Sequence[int]) -> bool:
        """See ``Ledger.book``."""
        check_amounts(claim, amounts)
        now = self._clock()
        if claim.id in self._live:
            return self._end(claim.id, amounts)
        if self._ended.get(claim.id, (_RELEASED, now))[0] != _RELEASED:
            return False
        for concern, amount in zip(claim.concerned.concerns, amounts, strict=True):
            self._sums(_account(concern, now)).settled += amount
        self._remember(claim.id, "settled", LIFE_SECONDS_MAX)
        return True

    def _short(
        self, holds: Sequence[Hold], accounts: Sequence["_Account"], now: float, *, nothing_fits: bool = False
    ) -> tuple[NoBudget | None, tuple[int, ...]]:
        """The first hold that does not fit, if any; and those on budgets that only report, by their index."""
        wanted: dict[_Account, int] = {}
        shadowed = []
        for index, (hold, account) in enumerate(zip(holds, accounts, strict=True)):
            if nothing_fits and not hold.amount:
                continue
            settled, held = self._counted(account, now)
            available = hold.concern.limit - settled - held - wanted.get(account, 0)
            if hold.amount > available and hold.concern.spent != "shadow":
                ends = self._ends_in(account, now, hold.amount - available)
                return NoBudget(hold=hold, available=available, window_ends_in_seconds=ends), ()
            if hold.amount > available:
                shadowed.append(index)
            wanted[account] = wanted.get(account, 0) + hold.amount
        return None, tuple(shadowed)

    def _buckets(self, account: "_Account", now: float) -> list["_Account"]:
        """Those of a rolling window that count, oldest first; else the account itself."""
        if account.window.kind != "rolling":
            return [account]
        later = int(now) - account.window.seconds
        alike = (one for one in self._balances if one[2:] == account[2:])
        return sorted(one for one in alike if one.ends > later)

    def _counted(self, account: "_Account", now: float) -> tuple[int, int]:
        """What counts against the limit: settled, held."""
        sums = [self._balances.get(one, _NOTHING) for one in self._buckets(account, now)]
        return sum(one.settled for one in sums), sum(one.held for one in sums)

    def _ends_in(self, account: "_Account", now: float, missing: int) -> float:
        """In how many seconds more is free."""
        if account.window.kind != "rolling":
            return account.ends - now
        for one in self._buckets(account, now):
            sums = self._balances.get(one, _NOTHING)
            missing -= sums.settled + sums.held
            if missing <= 0:
                return min(account.window.seconds, one.ends + account.window.seconds - int(now))
        return account.window.seconds

    async def settle(self, claim: Claim, amounts: Sequence[int]) -> bool:
        """See ``Ledger.settle``."""
        check_amounts(claim, amounts)
        return self._end(claim.id, amounts)

    async def release(self, claim: Claim) -> bool:
        """See ``Ledger.release``."""
        if claim.id not in self._live:
            if claim.id not in self._ended:
                self._remember(claim.id, _RELEASED)
            return False
        return self._end(claim.id, [0] * len(self._live[claim.id].held), _RELEASED)

    async def expire(self) -> int:
        """See ``Ledger.expire``."""
        return self._sweep(self._clock())

    async def balances(self, budgets: Sequence[Budget]) -> list[Balance]:
        """See ``Ledger.balances``."""
        now = self._clock()
        found = []
        for budget in budgets:
            for account in self._current(budget, now):
                settled, held = self._counted(account, now)
                rolling = budget.window.kind == "rolling"
                found.append(
                    Balance(
                        budget=budget.name,
                        owner=account.owner,
                        unit=budget.unit,
                        limit=budget.limit,
                        settled=settled,
                        held=held,
                        window_ends_in_seconds=budget.window.seconds if rolling else account.ends - now,
                    )
                )
        return sorted(found, key=lambda balance: (balance.budget, balance.owner))

    async def holdings(self, budget: Budget, *, limit: int = HOLDINGS_MAX) -> list[Holding]:
        """See ``Ledger.holdings``."""
        now = self._clock()
        found = [
            Holding(claim_id=name, owner=account.owner, amount=amount, until_unix=one.deadline)
            for name, one in self._live.items()
            for account, amount in one.held
            if amount
            and one.deadline > now
            and account in set(self._buckets(account, now))
            and (account.window, account.unit, account.budget) == (budget.window, budget.unit, budget.name)
            and (budget.window.kind == "rolling" or account.start <= now < account.ends)
        ]
        return sorted(found, key=lambda holding: (holding.owner, -holding.amount, holding.claim_id))[:limit]

    def _current(self, budget: Budget, now: float) -> list["_Account"]:
        """One account of every owner that has a balance in the current window."""
        start, ends = bounds(budget.window, now)
        asked = (budget.window, budget.unit, budget.name)
        owners = {
            one.owner
            for one in self._balances
            if one[2:5] == asked and (one.start == start or budget.window.kind == "rolling")
        }
        return [_Account(start, ends, *asked, owner) for owner in owners]

    async def slots_held(self, names: Sequence[str]) -> dict[str, int]:
        """See ``Ledger.slots_held``."""
        now = self._clock()
        return {name: self._held(name, now) for name in names}

    def _held(self, slot: str, now: float) -> int:
        return sum(one.slots.count(slot) for one in self._live.values() if one.lease > now)

    def _sums(self, account: "_Account") -> "_Sums":
        if account not in self._balances:
            self._balances[account] = _Sums()
            counts = account.window.seconds if account.window.kind == "rolling" else 0
            heapq.heappush(self._old, (account.ends + counts + _KEPT_SECONDS, next(self._count), account))
        return self._balances[account]

    def _remember(self, claim_id: str, how: str, seconds: float = ENDED_SECONDS) -> None:
        until = self._clock() + seconds
        self._ended[claim_id] = how, until
        heapq.heappush(self._forgotten_at, (until, claim_id))

    def _end(self, claim_id: str, amounts: Sequence[int], how: str = "settled") -> bool:
        reservation = self._live.pop(claim_id, None)
        if reservation is None:
            return False
        self._remember(claim_id, how, LIFE_SECONDS_MAX if how == "expired" else ENDED_SECONDS)
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
                expired += self._end(claim_id, [amount for _, amount in reservation.held], "expired")
        while self._forgotten_at and self._forgotten_at[0][0] <= now:
            until, claim_id = heapq.heappop(self._forgotten_at)
            # It may have ended anew since: what was released can be booked.
            if self._ended.get(claim_id) and self._ended[claim_id][1] <= until:
                del self._ended[claim_id]
        while self._old and self._old[0][0] <= now:
            del self._balances[heapq.heappop(self._old)[2]]
        return expired


class _Account(NamedTuple):
    """One owner's balance of one budget in one window, or in one bucket of a rolling one."""

    start: int
    ends: int
    window: Window
    unit: str
    budget: str
    owner: str


@dataclass(slots=True)
class _Sums:
    settled: int = 0
    held: int = 0


@dataclass(slots=True, kw_only=True)
class _Reservation:
    slots: tuple[str, ...]
    deadline: float
    lease: float
    held: list[tuple[_Account, int]]


_NOTHING = _Sums()
_RELEASED = "released"


def _account(concern: Concern, now: float) -> _Account:
    return _Account(*bounds(concern.window, now), concern.window, concern.unit, concern.budget, concern.owner)
