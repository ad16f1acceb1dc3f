"""The ledgers that the contract is held against, and short words for the values they take."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.budget.ledger import Balance, Claim, Concerned, Ledger, SlotClaim
from tiers.holds import Concern, Hold
from tiers.tiermap import Budget, Owner, Spent
from tiers.windows import Window

FOREVER = 10**9
"""A window that began in 2001 and ends in 2033: no test crosses its border."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One store seen through two ledgers, as two gateway processes see it."""

    ledger: Ledger
    other: Ledger
    pass_time: Callable[[float], Awaitable[None]]

    async def balance(self, budget: str = "daily", owner: str = "writer", *, window: int = FOREVER) -> Balance:
        """That one balance, which must exist."""
        [found] = [one for one in await self.ledger.balances([budget_of(budget, window=window)]) if one.owner == owner]
        return found

    async def sums(self, budget: str = "daily", owner: str = "writer") -> tuple[int, int]:
        """Settled and held of one balance; zeros where it does not exist."""
        for one in await self.ledger.balances([budget_of(budget)]):
            if one.owner == owner:
                return one.settled, one.held
        return 0, 0


def window_of(window: int | Window) -> Window:
    """An aligned one where only its length is told."""
    return Window(seconds=window) if isinstance(window, int) else window


def budget_of(name: str = "daily", *, limit: int = 5, window: int | Window = FOREVER, unit: str = "USD") -> Budget:
    return Budget(name=name, owner=Owner(kind="agent", pattern="*"), unit=unit, limit=limit, window=window_of(window))


def hold(
    amount: int = 1,
    *,
    budget: str = "daily",
    owner: str = "writer",
    limit: int = 5,
    window: int | Window = FOREVER,
    unit: str = "USD",
    spent: Spent = "downgrade",
) -> Hold:
    return Hold(Concern(budget, owner, unit, limit, window_of(window), spent), amount)


def claim(
    claim_id: str,
    *holds: Hold,
    slots: int | None = None,
    tier: str = "routing",
    life: float = 60,
    also: tuple[SlotClaim, ...] = (),
) -> Claim:
    return Claim(
        id=claim_id,
        slot=None if slots is None else SlotClaim(name=tier, capacity=slots),
        concerned=Concerned(tuple(hold.concern for hold in holds), also),
        amounts=[hold.amount for hold in holds],
        life_seconds=life,
    )
