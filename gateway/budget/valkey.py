"""The ledger in Valkey or Redis (6.2 or newer): one Lua script a verb, so each verb is one atomic step.

The scripts and the layout of the keys are in ``scripts``.
"""

from collections.abc import Sequence
from typing import Final

from gateway.budget.ledger import (
    Answer,
    Balance,
    Claim,
    Concerned,
    NoBudget,
    NoSlot,
    Reserved,
    SlotClaim,
    check_amounts,
)
from gateway.store.resp import numbers, word, words
from gateway.store.script import Commands, Script
from tiers.tiermap import Budget

EXPIRE_BATCH = 500
"""How many overdue reservations one script call ends: some milliseconds of the store's time."""
LIVES_KEPT_MAX = 1_000
MICROSECONDS = 1_000_000
_RESERVED: Final = Reserved()
_NO_SLOT: Final = words(b"", b"")


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
        self._lives: dict[float, bytes] = {}
        """Packed, by seconds: there are as many as tiers."""

    async def reserve(self, claim: Claim) -> Answer:
        """See ``Ledger.reserve``."""
        slot, concerned, amounts = claim.slot, claim.concerned, claim.amounts
        packed = (
            word(claim.id),
            self._lives.get(claim.life_seconds) or self._life(claim.life_seconds),
            _NO_SLOT if slot is None else slot.packed or _place(slot),
            concerned.packed or _pack(concerned),
            numbers(amounts),
        )
        reply = await self._reserve.run(self._commands, 4 + 5 * len(amounts), b"".join(packed))
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
        return bool(await self._settle.run(self._commands, 1 + len(amounts), word(claim.id) + numbers(amounts)))

    async def release(self, claim: Claim) -> bool:
        """See ``Ledger.release``."""
        return bool(await self._release.run(self._commands, 1, word(claim.id)))

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

    def _life(self, seconds: float) -> bytes:
        packed = words(max(1, round(seconds * MICROSECONDS)))
        if len(self._lives) < LIVES_KEPT_MAX:
            self._lives[seconds] = packed
        return packed


def _place(slot: SlotClaim) -> bytes:
    slot.packed = words(slot.capacity, slot.name)
    return slot.packed


def _pack(concerned: Concerned) -> bytes:
    concerned.packed = b"".join(
        [
            words(concern.window_seconds, _account(concern.unit, concern.budget), concern.owner, concern.limit)
            for concern in concerned.concerns
        ]
    )
    return concerned.packed


def _script(deadlines: bytes, *names: str) -> Script:
    return Script.of("gateway.budget", "layout", *names, key=deadlines, keeps="budgets and slots")


def _account(unit: str, budget: str) -> bytes:
    name = budget.encode()
    return b"%b:%d:%b" % (unit.encode(), len(name), name)
