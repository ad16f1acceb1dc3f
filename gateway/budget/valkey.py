"""The ledger in Valkey or Redis (6.2 or newer): one Lua script a verb, so each verb is one atomic step.

The scripts and the layout of the keys are in ``scripts``.
"""

from collections.abc import Sequence
from typing import Final

from gateway.budget.ledger import Answer, Balance, Claim, NoBudget, NoSlot, Reserved, SlotClaim, check_amounts
from gateway.store.resp import words
from gateway.store.script import Commands, Script
from tiers.holds import Concern
from tiers.tiermap import Budget

EXPIRE_BATCH = 500
"""How many overdue reservations one script call ends: some milliseconds of the store's time."""
CONCERNS_KEPT_MAX = 20_000
"""Of how many owners' budgets the packed words are kept."""
MICROSECONDS = 1_000_000
_RESERVED: Final = Reserved()


class ValkeyLedger:
    """Fulfils ``gateway.budget.ledger.Ledger`` for any number of processes that share one store.

    ``commands`` must run them in the order in which they were given to it: a release that follows an abandoned
    reserve may not overtake it. All keys start with ``{prefix}``, one hash tag.
    """

    def __init__(self, commands: Commands, prefix: str = "tiergate") -> None:
        self._commands = commands
        deadlines = f"{{{prefix}}}:deadlines".encode()
        self._reserve = _script(deadlines, "clock", "reservation", "sweep", "reserve")
        self._settle = _script(deadlines, "reservation", "settle")
        self._release = _script(deadlines, "reservation", "release")
        self._expire = _script(deadlines, "clock", "reservation", "sweep", "expire")
        self._balances = _script(deadlines, "clock", "balances")
        self._slots = _script(deadlines, "clock", "slots")
        # Packed words that come again and again.
        self._concerns: dict[Concern, bytes] = {}
        self._places: dict[tuple[str, int], bytes] = {}

    async def reserve(self, claim: Claim) -> Answer:
        """See ``Ledger.reserve``."""
        life = max(1, round(claim.life_seconds * MICROSECONDS))
        packed = [words(claim.id, life), self._place(claim.slot)]
        for hold in claim.holds:
            packed += (self._concerns.get(hold.concern) or self._packed(hold.concern), words(hold.amount))
        reply = await self._reserve.run(self._commands, 4 + 5 * len(claim.holds), b"".join(packed))
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
        return bool(await self._settle.run(self._commands, 1 + len(amounts), words(claim.id, *amounts)))

    async def release(self, claim: Claim) -> bool:
        """See ``Ledger.release``."""
        return bool(await self._release.run(self._commands, 1, words(claim.id)))

    async def expire(self) -> int:
        """See ``Ledger.expire``."""
        total = 0
        seen = EXPIRE_BATCH
        while seen == EXPIRE_BATCH:
            seen, expired = await self._expire.run(self._commands, 1, words(EXPIRE_BATCH))
            total += expired
        return total

    async def balances(self, budgets: Sequence[Budget]) -> list[Balance]:
        """See ``Ledger.balances``."""
        arguments: list[bytes | str | int] = []
        for budget in budgets:
            arguments += (budget.window_seconds, _account(budget.unit, budget.name))
        lists = await self._balances.run(self._commands, len(arguments), words(*arguments))
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
        return dict(zip(names, await self._slots.run(self._commands, len(names), words(*names)), strict=True))

    def _packed(self, concern: Concern) -> bytes:
        account = _account(concern.unit, concern.budget)
        packed = words(concern.window_seconds, account, concern.owner, concern.limit)
        if len(self._concerns) >= CONCERNS_KEPT_MAX:
            self._concerns.clear()
        self._concerns[concern] = packed
        return packed

    def _place(self, slot: SlotClaim | None) -> bytes:
        if slot is None:
            return words(b"", b"")
        packed = self._places.get((slot.name, slot.capacity))
        if packed is None:
            packed = self._places[slot.name, slot.capacity] = words(slot.capacity, slot.name)
        return packed


def _script(deadlines: bytes, *names: str) -> Script:
    return Script.of("gateway.budget", "layout", *names, key=deadlines, keeps="budgets and slots")


def _account(unit: str, budget: str) -> bytes:
    name = budget.encode()
    return b"%b:%d:%b" % (unit.encode(), len(name), name)
