"""Third step: let an attempt start. It takes a slot of its tier and a reservation in the ledger, or waits, or refuses.

A request that finds no slot waits in its tier's queue of this process: bounded in length and time, first come first
served. Only the first in the queue asks the ledger again, as soon as a slot is given back here, and from time to time
for those given back by other processes.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from gateway.budget.ledger import (
    AMOUNT_MAX,
    LIFE_SECONDS_MAX,
    NOT_CONCERNED,
    Claim,
    Concerned,
    Ledger,
    NoBudget,
    NoSlot,
    SlotClaim,
)
from gateway.errors import BudgetExhausted, BudgetTooSmall, StoreUnavailable, TierSaturated
from gateway.exchange import Attempt, Clock, Exchange
from gateway.wire.call import Call
from gateway.wire.identity import Identity
from tiers.budgets import amount, concerns
from tiers.estimate import answer_bound, worst_case, worst_cost
from tiers.routing import Candidate
from tiers.tiermap import Budget, Tier
from tiers.wording import amount_text, duration_text

POLL_SECONDS = 0.1
"""How often the first in a queue asks for slots that another process may have given back."""
SATURATED_RETRY_SECONDS = 5.0
CONCERNS_KEPT_MAX = 10_000
"""For how many callers, agents and runs it is remembered which budgets concern them."""
RESERVATION_GRACE_SECONDS = 15.0
"""How much longer than its request's deadline a reservation lives: the time to settle it."""


class _Slot(SlotClaim):
    """A slot of one tier as every request there claims it, and those of this process who wait for one.

    All that a request reads of it where nobody waits stands in this one object.

    Attributes:
        life_seconds: How long a reservation of the tier lives.
        waiting, crowded: Who waits, in order, and whether anybody does.
        freed, freed_since: Wakes the first of them; whether a slot was given back since it last was.
    """

    __slots__ = ("crowded", "freed", "freed_since", "life_seconds", "waiting")

    def __init__(self, tier: Tier) -> None:
        super().__init__(name=tier.name, capacity=tier.slots)
        life = tier.timeouts.total + tier.queue.wait_seconds + RESERVATION_GRACE_SECONDS
        self.life_seconds = min(life, LIFE_SECONDS_MAX)
        self.crowded = self.freed_since = False
        self.waiting: deque[asyncio.Event] = deque()
        self.freed = asyncio.Event()

    async def next_freed(self, seconds: float) -> None:
        """Wait until a slot is given back here, but no longer than ``seconds``."""
        if not self.freed_since:
            try:
                async with asyncio.timeout(seconds):
                    await self.freed.wait()
            except TimeoutError:
                return
        self.freed.clear()
        self.freed_since = False


class Admission:
    """Admits attempts against one ledger."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        clock: Clock,
        budgets: Sequence[Budget],
        tiers: Mapping[str, Tier],
        abandon: Callable[[Claim], None],
    ) -> None:
        """``abandon`` takes claims of which nobody knows whether they were taken, and releases them in time."""
        self._ledger = ledger
        self._clock = clock
        self._budgets = budgets
        self._abandon = abandon
        self._concerned: dict[tuple[str, str, str, str, str], Concerned] = {}
        self._units: dict[tuple[str, ...], tuple[str, ...]] = {}
        """Each combination of units once: what all requests read is close at hand."""
        self._slots = {name: _Slot(tier) for name, tier in tiers.items()}

    async def __call__(self, exchange: Exchange, candidate: Candidate) -> tuple[Attempt, Claim]:
        """Take a slot of the candidate's tier and hold the worst case of the request on every budget concerned.

        The attempt is added to the exchange. Whoever gets the claim settles or releases it.

        Raises:
            BudgetExhausted: A budget does not cover the worst case.
            TierSaturated: No slot came free in the queue's bounds.
            StoreUnavailable: The ledger cannot be asked.
        """
        tier = candidate.tier
        attempt = Attempt(tier=tier, reason=candidate.reason, answer_bound=_answer_bound(exchange, tier))
        exchange.attempts.append(attempt)
        slot = self._slots[tier.name]
        claim = self._claim(exchange, attempt, slot)
        asked_at = self._clock.monotonic()
        if slot.crowded or not await self._take(claim):
            try:
                await self._wait(slot, tier, claim, self._patience(exchange, tier))
            finally:
                attempt.queued_seconds = self._clock.monotonic() - asked_at
        attempt.admitted_at = self._clock.monotonic()
        return attempt, claim

    def freed(self, tier: Tier) -> None:
        """A slot of ``tier`` was given back: wake the first in its queue."""
        slot = self._slots[tier.name]
        slot.freed_since = True
        if slot.crowded:
            slot.freed.set()

    def queue_lengths(self) -> dict[str, int]:
        """How many requests wait for each tier in this process."""
        return {name: len(slot.waiting) for name, slot in self._slots.items()}

    async def _take(self, claim: Claim) -> bool:
        try:
            answer = await self._ledger.reserve(claim)
        except (asyncio.CancelledError, StoreUnavailable):
            # The reservation may have been made, or may still be made, although nobody waits for it any more.
            self._abandon(claim)
            raise
        if isinstance(answer, NoBudget):
            raise _exhausted(answer)
        return not isinstance(answer, NoSlot)

    def _patience(self, exchange: Exchange, tier: Tier) -> float:
        """How long it may wait. Who has waited for a worker to wake already does so up to its deadline."""
        if exchange.held_seconds > 0:
            return exchange.due - self._clock.monotonic()
        return tier.queue.wait_seconds

    async def _wait(self, slot: _Slot, tier: Tier, claim: Claim, seconds: float) -> None:
        if len(slot.waiting) >= tier.queue.length and seconds <= tier.queue.wait_seconds:
            raise TierSaturated(
                f"All {tier.slots} slots of the tier {tier.name!r} are taken and its queue is full"
                f" ({tier.queue.length} requests). Try again later.",
                retry_after_seconds=SATURATED_RETRY_SECONDS,
            )
        turn = asyncio.Event()
        slot.waiting.append(turn)
        slot.crowded = True
        if slot.waiting[0] is turn:
            turn.set()
        try:
            async with asyncio.timeout(seconds):
                await turn.wait()
                while not await self._take(claim):
                    await slot.next_freed(POLL_SECONDS)
        except TimeoutError as error:
            raise TierSaturated(
                f"All {tier.slots} slots of the tier {tier.name!r} stayed taken for {seconds:g} seconds."
                " Try again later.",
                retry_after_seconds=SATURATED_RETRY_SECONDS,
            ) from error
        finally:
            slot.waiting.remove(turn)
            slot.crowded = bool(slot.waiting)
            if slot.crowded:
                slot.waiting[0].set()

    def _claim(self, exchange: Exchange, attempt: Attempt, slot: _Slot) -> Claim:
        number = len(exchange.attempts)
        concerned = self._concerned_by(exchange, slot)
        return Claim(
            id=exchange.request_id if number == 1 else f"{exchange.request_id}.{number}",
            slot=slot,
            concerned=concerned,
            amounts=_worst_amounts(exchange, attempt, concerned),
            life_seconds=slot.life_seconds,
        )

    def _concerned_by(self, exchange: Exchange, slot: _Slot) -> Concerned:
        """Which budgets concern a request for ``slot``; kept, since the same callers come again and again."""
        caller, identity = exchange.caller, exchange.identity
        if not self._budgets or caller is None or exchange.call is None:
            return NOT_CONCERNED
        found = caller.latest
        if isinstance(found, Concerned) and found.slot is slot and found.identity is identity:
            return found
        found = caller.latest = self._concerned_anew(caller.name, identity, slot.name)
        found.slot, found.identity = slot, identity
        return found

    def _concerned_anew(self, key: str, identity: Identity, tier: str) -> Concerned:
        names = (tier, identity.agent, key, identity.flow, identity.run)
        found = self._concerned.get(names)
        if found is None:
            if len(self._concerned) >= CONCERNS_KEPT_MAX:
                self._concerned.clear()
            budgets = concerns(
                self._budgets, tier=tier, agent=identity.agent, key=key, flow=identity.flow, run=identity.run
            )
            found = self._concerned[names] = Concerned(budgets)
            found.units = self._units.setdefault(found.units, found.units)
        return found


def _worst_amounts(exchange: Exchange, attempt: Attempt, concerned: Concerned) -> Sequence[int]:
    """What the request's worst case takes from each budget that concerns it."""
    call, tier = exchange.call, attempt.tier
    if call is None or not concerned.units:
        return ()
    usage = worst_case(
        tier,
        prompt_bytes=_prompt_bytes(call, tier),
        max_output=call.max_output if call.max_output is not None else attempt.answer_bound,
        choices=call.choices,
        generates=exchange.operation.generates,
    )
    cost = worst_cost(tier, usage)
    # A caller may ask for any number of answers; what no ledger can hold is more than any budget all the same.
    return [min(amount(unit, usage, cost), AMOUNT_MAX) for unit in concerned.units]


def _answer_bound(exchange: Exchange, tier: Tier) -> int | None:
    call = exchange.call
    if call is None or call.max_output is not None or exchange.operation.bound_field is None:
        return None
    return answer_bound(tier, prompt_bytes=_prompt_bytes(call, tier))


def _prompt_bytes(call: Call, tier: Tier) -> int:
    """Bytes that bound the prompt's tokens: an image by its address may fill the whole context."""
    return tier.context if call.media else len(call.body)


def _exhausted(answer: NoBudget) -> BudgetExhausted:
    concern = answer.hold.concern
    whose = f" of {concern.owner}" if concern.owner else ""
    need = amount_text(answer.hold.amount, concern.unit)
    limit = f"{amount_text(concern.limit, concern.unit)} per {duration_text(concern.window_seconds)}"
    if answer.hold.amount > concern.limit:
        return BudgetTooSmall(
            f"This request may cost up to {need}, more than the whole budget {concern.budget!r}{whose}"
            f" ({limit}). Ask for a shorter answer (max_tokens) or raise the budget in the tier map.",
        )
    return BudgetExhausted(
        f"The budget {concern.budget!r}{whose} has {amount_text(max(0, answer.available), concern.unit)} left of"
        f" {limit}; this request may cost up to"
        f" {need}. The window ends in {duration_text(round(answer.window_ends_in_seconds))}.",
        retry_after_seconds=answer.window_ends_in_seconds,
    )
