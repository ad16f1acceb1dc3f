"""What admission and settlement ask of a ledger, and the values they exchange with it.

A reservation lives as ``tiers.reservation`` draws it: reserved, then settled, released or expired, once.
"""

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
ENDED_SECONDS = 300.0
"""How long an ended reservation is remembered: until no copy of its ``reserve`` can still be on the wire."""


class SlotClaim:
    """One place of a tier's concurrency: ``name`` is the tier, ``capacity`` its slots over all processes.

    ``packed`` is as in ``Concerned``.
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
        packed: What a ledger noted for itself of them; empty until it has.
        slot, identity: The latest request's, which are likely the next one's.
    """

    __slots__ = ("concerns", "identity", "packed", "slot", "units")

    def __init__(self, concerns: tuple[Concern, ...]) -> None:
        self.packed = b""
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
    frees its slot and charges its holds in full, since the endpoint may have done the work. The slot is
    free at that very moment; the charge is booked by the next sweep, and a settlement that comes before it
    still counts, being the truer figure.

    Raises:
        ValueError: The life is out of bounds, or there is not one amount per budget, or one is below zero or above
            ``AMOUNT_MAX``.

    Attributes:
        amounts: What is held on each of the budgets concerned, in its unit.
    """

    __slots__ = ("amounts", "concerned", "id", "life_seconds", "slot")

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 - a field's name
        slot: SlotClaim | None,
        concerned: Concerned,
        amounts: Sequence[int],
        life_seconds: float,
    ) -> None:
        if not 0 < life_seconds <= LIFE_SECONDS_MAX:
            raise ValueError(f"life_seconds is {life_seconds}, not above 0 and at most {LIFE_SECONDS_MAX:g}")
        self.id = id
        self.slot = slot
        self.concerned = concerned
        self.amounts = amounts
        self.life_seconds = life_seconds
        check_amounts(self, amounts)

    @property
    def holds(self) -> tuple[Hold, ...]:
        """The budgets concerned with what is held on each."""
        return tuple([Hold(*one) for one in zip(self.concerned.concerns, self.amounts, strict=True)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """The claim was taken whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSlot:
    """Every slot is held; nothing was taken."""

    held: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoBudget:
    """A hold does not fit into its budget; nothing was taken. ``available`` is in the hold's unit."""

    hold: Hold
    available: int
    window_ends_in_seconds: float


Answer = Reserved | NoSlot | NoBudget


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

    async def reserve(self, claim: Claim) -> Answer:
        """Take the claim's slot and all its holds, or nothing; a refusal leaves no trace.

        Budgets are looked at before the slot, in the order of the holds: a spent budget is refused at once
        and not after a wait for a slot. Repeating a taken claim's id answers ``Reserved`` and takes
        nothing, also for ``ENDED_SECONDS`` after it ended.
        """

    async def settle(self, claim: Claim, amounts: Sequence[int]) -> bool:
        """Book ``amounts`` (one per hold, same order) in place of what was held and free the slot.

        They are booked in the windows where the holds were made, and may be more than what was held.

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
        """How many slots of each tier are held now."""


def check_amounts(claim: Claim, amounts: Sequence[int]) -> None:
    """Raise ``ValueError`` unless ``amounts`` can settle ``claim``."""
    if len(amounts) != len(claim.concerned.units):
        raise ValueError(f"{len(amounts)} amounts for {len(claim.concerned.units)} holds")
    for amount in amounts:
        if not 0 <= amount <= AMOUNT_MAX:
            raise ValueError(f"amount {amount} is below 0 or above {AMOUNT_MAX}")
