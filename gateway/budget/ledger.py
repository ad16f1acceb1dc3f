"""What admission and settlement ask of a ledger, and the values they exchange with it.

A reservation lives as ``tiers.reservation`` draws it: reserved, then settled, released or expired, once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.wire.identity import Identity
from tiers.holds import Concern, Hold
from tiers.tiermap import Budget

LIFE_SECONDS_MAX: Final = 86_400.0
"""The longest life of a reservation: stores keep its row and balances long enough for this one."""
AMOUNT_MAX: Final = 2**53
"""The largest amount and sum that every store keeps exactly: Lua counts in doubles."""
HOLDINGS_MAX: Final = 1000
"""How many holdings are told at most."""
ENDED_SECONDS: Final = 300.0
"""How long an ended reservation is remembered: until no copy of its ``reserve`` can still be on the wire."""


SLOT_LEASE_SECONDS: Final = 30.0
"""How long a slot stays taken without word from who took it: a process that dies frees its slots so soon."""


class SlotClaim:
    """One place of a concurrency: ``name`` is a tier, or what ``owner_slot`` makes; ``capacity`` its slots over all
    processes. ``packed`` is as in ``Concerned``.
    """

    __slots__ = ("capacity", "name", "packed")

    def __init__(self, *, name: str, capacity: int) -> None:
        self.name = name
        self.capacity = capacity
        self.packed = b""


class Concerned:
    """The budgets that concern requests of the same names, worked out once for all of them.

    One object with all that a request reads of its budgets: where there are many callers, each further object is one
    more that must come from memory.

    Attributes:
        concerns: The budgets, in the order of the tier map.
        units: Their units.
        slots: The concurrency limits that concern them beside the tier's own.
        packed: What a ledger noted for itself of them; empty until it has.
        fresh_until: When ``packed`` must be made anew, in Unix seconds; never where nothing concerns.
        slot, identity: The latest request's, which are likely the next one's.
    """

    __slots__ = ("concerns", "fresh_until", "identity", "packed", "slot", "slots", "units")

    def __init__(self, concerns: tuple[Concern, ...], slots: tuple[SlotClaim, ...] = ()) -> None:
        self.packed = b""
        self.fresh_until = -math.inf if concerns else math.inf
        self.slots = slots
        self.units = tuple([concern.unit for concern in concerns])
        self.concerns = concerns
        self.slot: SlotClaim | None = None
        self.identity: Identity | None = None


NOT_CONCERNED: Final = Concerned(())
"""A request that no budget concerns."""


class Claim:
    """What one attempt needs before it may start: all of it is taken, or nothing.

    ``id`` is unique per attempt. ``life_seconds`` (above zero, at most ``LIFE_SECONDS_MAX``) bounds the
    reservation by the ledger's own clock: one that is neither settled nor released by then expires, which
    frees its slots and charges its holds in full, since the endpoint may have done the work. The slots are
    free at that very moment; the charge is booked by the next sweep, and a settlement that comes before it
    still counts, being the truer figure.

    Slots are leases: without a ``renew`` they are free ``SLOT_LEASE_SECONDS`` after they were taken, though the holds
    stay until the life is over.

    Raises:
        ValueError: The life is out of bounds, or there is not one amount per budget, or one is below zero or above
            ``AMOUNT_MAX``.

    Attributes:
        amounts: What is held on each of the budgets concerned, in its unit.
        allowed: Of an attempt that was let in without the ledger, which could not be asked: the microdollars that it
            took from its tier's allowance. It is then ``book``ed. ``None`` for all others.
    """

    __slots__ = ("allowed", "amounts", "concerned", "id", "life_seconds", "slot")

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 - a field's name
        slot: SlotClaim | None,
        concerned: Concerned,
        amounts: Sequence[int],
        life_seconds: float,
        allowed: int | None = None,
    ) -> None:
        if not 0 < life_seconds <= LIFE_SECONDS_MAX:
            raise ValueError(f"life_seconds is {life_seconds}, not above 0 and at most {LIFE_SECONDS_MAX:g}")
        self.id = id
        self.slot = slot
        self.concerned = concerned
        self.amounts = amounts
        self.life_seconds = life_seconds
        self.allowed = allowed
        check_amounts(self, amounts)

    @property
    def holds(self) -> tuple[Hold, ...]:
        """The budgets concerned with what is held on each."""
        return tuple([Hold(*one) for one in zip(self.concerned.concerns, self.amounts, strict=True)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """The claim was taken whole. ``shadowed`` are the budgets that only report and did not have enough left, by their
    index in the claim's holds.
    """

    shadowed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSlot:
    """Every slot of ``slot`` is held; nothing was taken."""

    held: int
    slot: SlotClaim


@dataclass(frozen=True, slots=True, kw_only=True)
class NoBudget:
    """A hold does not fit into its budget; nothing was taken. ``available`` is in the hold's unit.

    ``window_ends_in_seconds`` is when more will be left: of a rolling window, when the hold would fit if nothing else
    were spent meanwhile, and at most the window's length.
    """

    hold: Hold
    available: int
    window_ends_in_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """The reservation is not live: it ended, expired, or never was. Nothing was done."""


Answer = Reserved | NoSlot | NoBudget


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What one live reservation holds on one owner's budget, in its unit."""

    claim_id: str
    owner: str
    amount: int
    until_unix: float
    """When it expires unless it is settled before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """One budget of one owner in its current window; amounts in the budget's unit."""

    budget: str
    owner: str
    unit: str
    limit: int
    settled: int
    held: int
    window_ends_in_seconds: float

    @property
    def available(self) -> int:
        """Limit less settled less held; below zero if a limit was lowered or a cost exceeded its hold."""
        return self.limit - self.settled - self.held


class Ledger(Protocol):
    """The store of balances, reservations and slots. Every verb is atomic, also between processes.

    Every method raises ``gateway.errors.StoreUnavailable`` when the store cannot be reached or does not
    answer in time; the verb may then have happened or not, and repeating it with the same id is safe.
    """

    async def reserve(self, claim: Claim, line: str = "") -> Answer:
        """Take the claim's slot and all its holds, or nothing; a refusal leaves no trace.

        ``line`` is the process's name where the claim stands first in its line for the tier's slots: between processes,
        the last free slot is kept for the line that has asked in vain for longest, if it has for 0.2 seconds and asks
        again within a second.

        Budgets are looked at before the slots, in the order of the holds: a spent budget is refused at once
        and not after a wait for a slot. A budget whose ``spent`` is ``shadow`` never refuses: the hold is made all the
        same. Slots come next, the tier's first. Repeating a taken claim's id answers ``Reserved`` and takes
        nothing, also for ``ENDED_SECONDS`` after it ended.
        """

    async def extend(self, claim: Claim, amounts: Sequence[int]) -> Reserved | NoBudget | Over:
        """Raise what the live reservation holds to ``amounts`` (one per hold, in all and not in addition), or do
        nothing. What is held already is never lowered, so repeating it is safe. Each hold stays in the window where it
        was made. A refusal's hold is what was to be held in addition.
        """

    async def renew(self, claims: Sequence[Claim]) -> None:
        """Keep the slots of these reservations for another ``SLOT_LEASE_SECONDS``, but not beyond their lives. Those
        that have ended are left alone; a lease that lapsed while its reservation is live is taken up again, even above
        the capacity: its request is still running.
        """

    async def book(self, claim: Claim, amounts: Sequence[int]) -> bool:
        """Settle what may never have been reserved: books ``amounts`` in the current windows where the reservation is
        not known, and settles it where it is live. Once per id, for as long as a reservation may live. Where it was
        released it is booked, too: whoever gave up on a reserve released it, and was charged nothing.

        Returns:
            Whether this call did it.
        """

    async def settle(self, claim: Claim, amounts: Sequence[int]) -> bool:
        """Book ``amounts`` (one per hold, same order) in place of what was held and free the slot.

        They are booked in the windows where the holds were made, and may be more than what was held. In a rolling
        window they count from when the hold was made.

        Returns:
            Whether this call did it; ``False`` if the reservation was settled, released or expired before.

        Raises:
            ValueError: Not one amount per hold, or an amount below zero or above ``AMOUNT_MAX``.
        """

    async def release(self, claim: Claim) -> bool:
        """Give back slot and holds, nothing spent. Returns as ``settle``.

        An id that is not known is remembered as released for ``ENDED_SECONDS``: a reserve that was given up and still
        arrives then takes nothing.
        """

    async def expire(self) -> int:
        """Expire reservations whose life is over; returns how many. ``reserve`` does some of it too."""

    async def balances(self, budgets: Sequence[Budget]) -> list[Balance]:
        """The current window's balances of every owner seen in it, sorted by budget and owner."""

    async def slots_held(self, names: Sequence[str]) -> dict[str, int]:
        """How many slots of each name are held now."""

    async def holdings(self, budget: Budget, *, limit: int = HOLDINGS_MAX) -> list[Holding]:
        """What live reservations hold on a budget, by owner, the largest first; at most ``limit`` in all."""


def owner_slot(limit: str, owner: str) -> str:
    """The name of an owner's slots under the concurrency limit of that name; no tier is called so."""
    return f"{len(limit)}:{limit}:{owner}"


def check_amounts(claim: Claim, amounts: Sequence[int]) -> None:
    """Raise ``ValueError`` unless ``amounts`` can settle ``claim``."""
    if len(amounts) != len(claim.concerned.units):
        raise ValueError(f"{len(amounts)} amounts for {len(claim.concerned.units)} holds")
    for amount in amounts:
        if not 0 <= amount <= AMOUNT_MAX:
            raise ValueError(f"amount {amount} is below 0 or above {AMOUNT_MAX}")
