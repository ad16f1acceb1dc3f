"""The ledger in Valkey or Redis (6.2 or newer): one Lua script a verb, so each verb is one atomic step.

The scripts and the layout of the keys are in ``scripts``.
"""

from collections.abc import Awaitable, Sequence
from functools import lru_cache

from gateway.budget.ledger import Answer, Balance, Claim, NoBudget, NoSlot, Reserved, check_amounts
from gateway.store.resp import Reply
from gateway.store.script import Commands, Script
from tiers.tiermap import Budget

EXPIRE_BATCH = 500
"""How many overdue reservations one script call ends: some milliseconds of the store's time."""
ACCOUNTS_CACHED = 4096
MICROSECONDS = 1_000_000
_RESERVED = Reserved()


class ValkeyLedger:
    """Fulfils ``gateway.budget.ledger.Ledger`` for any number of processes that share one store.

    ``commands`` must run them in the order in which they were given to it: a release that follows an abandoned
    reserve may not overtake it. All keys start with ``{prefix}``, one hash tag.
    """

    def __init__(self, commands: Commands, prefix: str = "tiergate") -> None:
        self._commands = commands
        self._deadlines = f"{{{prefix}}}:deadlines".encode()
        self._reserve = _script("clock", "reservation", "sweep", "reserve")
        self._settle = _script("reservation", "settle")
        self._release = _script("reservation", "release")
        self._expire = _script("clock", "reservation", "sweep", "expire")
        self._balances = _script("clock", "balances")
        self._slots = _script("clock", "slots")

    async def reserve(self, claim: Claim) -> Answer:
        """See ``Ledger.reserve``."""
        slot = claim.slot
        life = max(1, round(claim.life_seconds * MICROSECONDS))
        arguments: list[bytes | str | int] = (
            [claim.id, life, b"", b""] if slot is None else [claim.id, life, slot.capacity, slot.name]
        )
        for hold in claim.holds:
            account = _account(hold.unit, hold.budget)
            arguments += (hold.window_seconds, account, hold.owner, hold.limit, hold.amount)
        reply = await self._run(self._reserve, arguments)
        if reply == 0:
            return _RESERVED
        if reply[0] == 1:
            return NoSlot(held=reply[1])
        _, index, available, ends = reply
        return NoBudget(
            hold=claim.holds[index],
            available=available,
            window_ends_in_seconds=ends / MICROSECONDS,
        )

    async def settle(self, claim: Claim, amounts: Sequence[int]) -> bool:
        """See ``Ledger.settle``."""
        check_amounts(claim, amounts)
        return bool(await self._run(self._settle, (claim.id, *amounts)))

    async def release(self, claim: Claim) -> bool:
        """See ``Ledger.release``."""
        return bool(await self._run(self._release, (claim.id,)))

    async def expire(self) -> int:
        """See ``Ledger.expire``."""
        total = 0
        seen = EXPIRE_BATCH
        while seen == EXPIRE_BATCH:
            seen, expired = await self._run(self._expire, (EXPIRE_BATCH,))
            total += expired
        return total

    async def balances(self, budgets: Sequence[Budget]) -> list[Balance]:
        """See ``Ledger.balances``."""
        arguments: list[bytes | str | int] = []
        for budget in budgets:
            arguments += (budget.window_seconds, _account(budget.unit, budget.name))
        lists = await self._run(self._balances, arguments)
        found = [
            Balance(
                budget=budget.name,
                owner=one[i].decode(),
                unit=budget.unit,
                limit=budget.limit,
                settled=int(one[i + 1]),
                held=int(one[i + 2]),
                window_ends_in_seconds=one[0] / MICROSECONDS,
            )
            for budget, one in zip(budgets, lists, strict=True)
            for i in range(1, len(one), 3)
        ]
        return sorted(found, key=lambda balance: (balance.budget, balance.owner))

    async def slots_held(self, names: Sequence[str]) -> dict[str, int]:
        """See ``Ledger.slots_held``."""
        if not names:
            return {}
        return dict(zip(names, await self._run(self._slots, names), strict=True))

    def _run(self, script: Script, arguments: Sequence[bytes | str | int]) -> Awaitable[Reply]:
        return script.run(self._commands, self._deadlines, arguments, keeps="budgets and slots")


def _script(*names: str) -> Script:
    return Script.of("gateway.budget", "layout", *names)


@lru_cache(ACCOUNTS_CACHED)
def _account(unit: str, budget: str) -> bytes:
    name = budget.encode()
    return b"%b:%d:%b" % (unit.encode(), len(name), name)
