"""A ledger whose store can fail or fall silent, and that keeps account of what became of every claim."""

from collections import Counter
from collections.abc import Callable, Sequence

from gateway.budget.ledger import HOLDINGS_MAX, Answer, Balance, Claim, Holding, NoBudget, Over, Reserved
from gateway.budget.memory import InMemoryLedger
from gateway.errors import StoreUnavailable
from tests.doubles.transport import Hang
from tiers.tiermap import Budget


class FailingLedger:
    """Fulfils ``Ledger`` over one in memory.

    Attributes:
        down: Verbs that raise ``StoreUnavailable``.
        slow: What a verb waits for before it happens.
        unanswered: What ``reserve`` waits for after it happened.
        asked: How often each verb was called.
        lines: What ``reserve`` was told of the line, each time.
        taken: Ids of the claims that were reserved.
        resolved: Each id that was settled or released, with how; once per time that this took effect.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.memory = InMemoryLedger(clock)
        self.down: set[str] = set()
        self.slow: dict[str, Hang] = {}
        self.unanswered: Hang | None = None
        self.asked: Counter[str] = Counter()
        self.taken: set[str] = set()
        self.lines: list[str] = []
        self.resolved: list[tuple[str, str]] = []

    async def _reach(self, verb: str) -> None:
        self.asked[verb] += 1
        if verb in self.slow:
            await self.slow[verb].wait()
        if verb in self.down:
            raise StoreUnavailable("The store does not answer.", retry_after_seconds=1)

    async def reserve(self, claim: Claim, line: str = "") -> Answer:
        """See ``Ledger.reserve``."""
        await self._reach("reserve")
        self.lines.append(line)
        answer = await self.memory.reserve(claim, line)
        if isinstance(answer, Reserved):
            self.taken.add(claim.id)
        if self.unanswered is not None:
            await self.unanswered.wait()
        return answer

    async def settle(self, claim: Claim, amounts: Sequence[int]) -> bool:
        """See ``Ledger.settle``."""
        await self._reach("settle")
        done = await self.memory.settle(claim, amounts)
        self.resolved += [(claim.id, "settled")] * done
        return done

    async def release(self, claim: Claim) -> bool:
        """See ``Ledger.release``."""
        await self._reach("release")
        done = await self.memory.release(claim)
        self.resolved += [(claim.id, "released")] * done
        return done

    async def extend(self, claim: Claim, amounts: Sequence[int]) -> Reserved | NoBudget | Over:
        """See ``Ledger.extend``."""
        await self._reach("extend")
        return await self.memory.extend(claim, amounts)

    async def renew(self, claims: Sequence[Claim]) -> None:
        """See ``Ledger.renew``."""
        await self._reach("renew")
        await self.memory.renew(claims)

    async def book(self, claim: Claim, amounts: Sequence[int]) -> bool:
        """See ``Ledger.book``."""
        await self._reach("book")
        done = await self.memory.book(claim, amounts)
        self.resolved += [(claim.id, "booked")] * done
        return done

    async def expire(self) -> int:
        """See ``Ledger.expire``."""
        await self._reach("expire")
        return await self.memory.expire()

    async def balances(self, budgets: Sequence[Budget]) -> list[Balance]:
        """See ``Ledger.balances``."""
        await self._reach("balances")
        return await self.memory.balances(budgets)

    async def slots_held(self, names: Sequence[str]) -> dict[str, int]:
        """See ``Ledger.slots_held``."""
        await self._reach("slots_held")
        return await self.memory.slots_held(names)

    async def holdings(self, budget: Budget, *, limit: int = HOLDINGS_MAX) -> list[Holding]:
        """See ``Ledger.holdings``."""
        await self._reach("holdings")
        return await self.memory.holdings(budget, limit=limit)
