"""The ledger in Valkey or Redis (6.2 or newer): one Lua script a verb, so each verb is one atomic step.

The scripts and the layout of the keys are in ``scripts``.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

from gateway.budget.ledger import (
    HOLDINGS_MAX,
    SLOT_LEASE_SECONDS,
    Answer,
    Balance,
    Claim,
    Concerned,
    Holding,
    NoBudget,
    NoSlot,
    Over,
    Reserved,
    SlotClaim,
    check_amounts,
)
from gateway.store.resp import numbers, word, words
from gateway.store.script import Commands, Script
from tiers.holds import Concern, Hold
from tiers.tiermap import Budget
from tiers.windows import Window, bounds, bucket_seconds

EXPIRE_BATCH: Final = 500
"""How many overdue reservations one script call ends: some milliseconds of the store's time."""
LIVES_KEPT_MAX: Final = 1_000
RENEW_BATCH: Final = 500
"""How many leases one script call renews: as ``EXPIRE_BATCH``."""
HOLDINGS_SEEN_MAX: Final = 5_000
"""How many reservations one question for holdings looks at: some milliseconds of the store's time."""
MICROSECONDS: Final = 1_000_000
_RESERVED: Final = Reserved()
_NO_SLOTS: Final = words(0)
_REPORTS: Final = b"!"
"""Begins the window of a budget that only reports."""


class ValkeyLedger:
    """Fulfils ``gateway.budget.ledger.Ledger`` for any number of processes that share one store.

    ``commands`` must run them in the order in which they were given to it: a release that follows an abandoned
    reserve may not overtake it. All keys start with ``{prefix}``, one hash tag. ``clock`` is this process's, in Unix
    seconds: it works out the windows of a calendar, of which the store then takes the one that its own clock is in.
    """

    def __init__(
        self,
        commands: Commands,
        *,
        clock: Callable[[], float],
        prefix: str = "tiergate",
        lease_seconds: float = SLOT_LEASE_SECONDS,
    ) -> None:
        self._commands = commands
        self._clock = clock
        self._lease = round(lease_seconds * MICROSECONDS)
        deadlines = f"{{{prefix}}}:deadlines".encode()
        self._reserve = _script(deadlines, "clock", "window", "reservation", "sweep", "lines", "reserve")
        self._extend = _script(deadlines, "clock", "window", "reservation", "extend")
        self._renew = _script(deadlines, "clock", "reservation", "renew")
        self._settle = _script(deadlines, "reservation", "settle")
        self._book = _script(deadlines, "clock", "window", "reservation", "book")
        self._release = _script(deadlines, "reservation", "release")
        self._expire = _script(deadlines, "clock", "reservation", "sweep", "expire")
        self._balances = _script(deadlines, "clock", "window", "balances")
        self._holdings = _script(deadlines, "clock", "window", "reservation", "holdings")
        self._slots = _script(deadlines, "clock", "slots")
        self._lives: dict[float, bytes] = {}
        """With the lease, packed, by seconds: there are as many as tiers."""

    async def reserve(self, claim: Claim, line: str = "") -> Answer:
        """See ``Ledger.reserve``."""
        slot, concerned, amounts = claim.slot, claim.concerned, claim.amounts
        slots = 1
        if concerned.slots or line:
            places, slots = self._places(claim, line)
        elif slot is None:
            places, slots = _NO_SLOTS, 0
        else:
            places = slot.packed or _place(slot)
        count = 4 + 2 * slots + 5 * len(amounts)
        packed = (
            self._reserve.start(count),
            word(claim.id),
            self._lives.get(claim.life_seconds) or self._life(claim.life_seconds),
            places,
            concerned.packed if concerned.fresh_until == math.inf else self._packed(concerned),
            numbers(amounts),
        )
        reply = await self._reserve.send(self._commands, count, b"".join(packed))
        if reply == 0:
            return _RESERVED
        if reply[0] == 0:
            return Reserved(shadowed=tuple(reply[1:]))
        if reply[0] == 1:
            _, held, index = reply
            return NoSlot(held=held, slot=_slots_of(claim)[index])
        _, index, available, ends = reply
        return NoBudget(
            hold=claim.holds[index],
            available=available,
            window_ends_in_seconds=ends / MICROSECONDS,
        )

    async def extend(self, claim: Claim, amounts: Sequence[int]) -> Reserved | NoBudget | Over:
        """See ``Ledger.extend``."""
        check_amounts(claim, amounts)
        concerns = claim.concerned.concerns
        arguments: list[bytes | str | int] = [claim.id]
        for concern, amount in zip(concerns, amounts, strict=True):
            arguments += (amount, concern.limit, _REPORTS if concern.spent == "shadow" else b"")
        reply = await self._extend.run(self._commands, len(arguments), words(*arguments))
        if reply == 0:
            return _RESERVED
        if reply[0] == 0:
            return Reserved(shadowed=tuple(reply[1:]))
        if reply[0] != 2:  # noqa: PLR2004 - the script's word for it
            return Over()
        _, index, available, added = reply
        now, concern = self._clock(), concerns[index]
        rolls = concern.window.kind == "rolling"
        return NoBudget(
            hold=Hold(concern, added),
            available=available,
            window_ends_in_seconds=concern.window.seconds if rolls else bounds(concern.window, now)[1] - now,
        )

    async def renew(self, claims: Sequence[Claim]) -> None:
        """See ``Ledger.renew``."""
        for start in range(0, len(claims), RENEW_BATCH):
            ids = [claim.id for claim in claims[start : start + RENEW_BATCH]]
            await self._renew.run(self._commands, 1 + len(ids), words(self._lease, *ids))

    async def book(self, claim: Claim, amounts: Sequence[int]) -> bool:
        """See ``Ledger.book``."""
        check_amounts(claim, amounts)
        packed = word(claim.id) + self._packed(claim.concerned) + numbers(amounts)
        return bool(await self._book.run(self._commands, 1 + 5 * len(amounts), packed))

    async def settle(self, claim: Claim, amounts: Sequence[int]) -> bool:
        """See ``Ledger.settle``."""
        check_amounts(claim, amounts)
        count = 1 + len(amounts)
        packed = (self._settle.start(count), word(claim.id), numbers(amounts))
        return bool(await self._settle.send(self._commands, count, b"".join(packed)))

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
        now = self._clock()
        for budget in budgets:
            arguments += (_written(budget.window, now), _account(budget.unit, budget.name))
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

    async def holdings(self, budget: Budget, *, limit: int = HOLDINGS_MAX) -> list[Holding]:
        """See ``Ledger.holdings``; looks at the ``HOLDINGS_SEEN_MAX`` reservations that expire first."""
        window, account = _written(budget.window, self._clock()), _account(budget.unit, budget.name)
        reply = await self._holdings.run(self._commands, 3, words(window, account, HOLDINGS_SEEN_MAX))
        found = [
            Holding(
                claim_id=reply[i].decode(),
                owner=reply[i + 1].decode(),
                amount=int(reply[i + 2]),
                until_unix=float(reply[i + 3]) / MICROSECONDS,
            )
            for i in range(0, len(reply), 4)
        ]
        return sorted(found, key=lambda holding: (holding.owner, -holding.amount, holding.claim_id))[:limit]

    def _life(self, seconds: float) -> bytes:
        packed = words(max(1, round(seconds * MICROSECONDS)), self._lease)
        if len(self._lives) < LIVES_KEPT_MAX:
            self._lives[seconds] = packed
        return packed

    def _places(self, claim: Claim, line: str) -> tuple[bytes, int]:
        """The slots of a claim that needs more than its tier's or stands in line, packed, and how many they are."""
        slots = _slots_of(claim)
        named: list[bytes | str | int] = [f"{len(slots)}:{line}" if line and slots else len(slots)]
        for slot in slots:
            named += (slot.capacity, slot.name)
        return words(*named), len(slots)

    def _packed(self, concerned: Concerned) -> bytes:
        """What the store is told of the budgets; made anew where a calendar's window has ended since."""
        if concerned.fresh_until == math.inf:
            return concerned.packed
        now = self._clock()
        if now >= concerned.fresh_until:
            concerned.packed, concerned.fresh_until = _pack(concerned.concerns, now)
        return concerned.packed


def _slots_of(claim: Claim) -> list[SlotClaim]:
    own = [] if claim.slot is None else [claim.slot]
    return [*own, *claim.concerned.slots]


def _place(slot: SlotClaim) -> bytes:
    slot.packed = words(1, slot.capacity, slot.name)
    return slot.packed


def _pack(concerns: Sequence[Concern], now: float) -> tuple[bytes, float]:
    """The budgets in the store's words, and until when they are right."""
    packed: list[bytes] = []
    until = math.inf
    for concern in concerns:
        window = _written(concern.window, now)
        if concern.spent == "shadow":
            window = _REPORTS + window
        if concern.window.kind == "calendar" and not concern.window.arithmetic:
            until = min(until, bounds(concern.window, now)[1])
        packed.append(words(window, _account(concern.unit, concern.budget), concern.owner, concern.limit))
    return b"".join(packed), until


def _written(window: Window, now: float) -> bytes:
    """A window as ``scripts/window.lua`` reads it."""
    if window.kind == "rolling":
        return b"r%d:%d" % (window.seconds, bucket_seconds(window))
    if window.arithmetic:
        return b"%d" % window.seconds
    start, ends = bounds(window, now)
    before, after = bounds(window, start - 1)[0], bounds(window, ends)[1]
    return f"c{window.unit}@{window.zone}:{before}:{start}:{ends}:{after}".encode()


def _script(deadlines: bytes, *names: str) -> Script:
    return Script.of("gateway.budget", "layout", *names, key=deadlines, keeps="budgets and slots")


def _account(unit: str, budget: str) -> bytes:
    name = budget.encode()
    return b"%b:%d:%b" % (unit.encode(), len(name), name)
