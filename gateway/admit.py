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


class _Queue:
    """Those who wait for a slot of one tier in this process, and what each of them claims of the tier."""

    __slots__ = ("freed", "life_seconds", "slot", "waiting")

    def __init__(self, tier: Tier) -> None:
        life = tier.timeouts.total + tier.queue.wait_seconds + RESERVATION_GRACE_SECONDS
        self.slot = SlotClaim(name=tier.name, capacity=tier.slots)
        self.life_seconds = min(life, LIFE_SECONDS_MAX)
        self.waiting: deque[asyncio.Event] = deque()
        self.freed = asyncio.Event()


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
        self._queues = {name: _Queue(tier) for name, tier in tiers.items()}

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
        queue = self._queues[tier.name]
        claim = self._claim(exchange, attempt, queue)
        asked_at = self._clock.monotonic()
        if queue.waiting or not await self._take(claim):
            try:
                await self._wait(queue, tier, claim, self._patience(exchange, tier))
            finally:
                attempt.queued_seconds = self._clock.monotonic() - asked_at
        attempt.admitted_at = self._clock.monotonic()
        return attempt, claim

    def freed(self, tier: Tier) -> None:
        """A slot of ``tier`` was given back: wake the first in its queue."""
        freed = self._queues[tier.name].freed
        if not freed.is_set():  # which it mostly is, where nobody waits; to set it costs more than to ask
            freed.set()

    def queue_lengths(self) -> dict[str, int]:
        """How many requests wait for each tier in this process."""
        return {name: len(queue.waiting) for name, queue in self._queues.items()}

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

    async def _wait(self, queue: _Queue, tier: Tier, claim: Claim, seconds: float) -> None:
        if len(queue.waiting) >= tier.queue.length and seconds <= tier.queue.wait_seconds:
            raise TierSaturated(
                f"All {tier.slots} slots of the tier {tier.name!r} are taken and its queue is full"
                f" ({tier.queue.length} requests). Try again later.",
                retry_after_seconds=SATURATED_RETRY_SECONDS,
            )
        turn = asyncio.Event()
        queue.waiting.append(turn)
        if queue.waiting[0] is turn:
            turn.set()
        try:
            async with asyncio.timeout(seconds):
                await turn.wait()
                while not await self._take(claim):
                    await _either(queue.freed, POLL_SECONDS)
        except TimeoutError as error:
            raise TierSaturated(
                f"All {tier.slots} slots of the tier {tier.name!r} stayed taken for {seconds:g} seconds."
                " Try again later.",
                retry_after_seconds=SATURATED_RETRY_SECONDS,
            ) from error
        finally:
            queue.waiting.remove(turn)
            if queue.waiting:
                queue.waiting[0].set()

    def _claim(self, exchange: Exchange, attempt: Attempt, queue: _Queue) -> Claim:
        number = len(exchange.attempts)
        concerned = self._concerned_by(exchange, attempt.tier)
        return Claim(
            id=exchange.request_id if number == 1 else f"{exchange.request_id}.{number}",
            slot=queue.slot,
            concerned=concerned,
            amounts=_worst_amounts(exchange, attempt, concerned),
            life_seconds=queue.life_seconds,
        )

    def _concerned_by(self, exchange: Exchange, tier: Tier) -> Concerned:
        """Which budgets concern a request on ``tier``; kept, since the same callers come again and again."""
        caller, identity = exchange.caller, exchange.identity
        if not self._budgets or caller is None or exchange.call is None:
            return NOT_CONCERNED
        names = (tier.name, identity.agent, caller.name, identity.flow, identity.run)
        found = self._concerned.get(names)
        if found is None:
            if len(self._concerned) >= CONCERNS_KEPT_MAX:
                self._concerned.clear()
            tier_name, agent, key, flow, run = names
            found = Concerned(concerns(self._budgets, tier=tier_name, agent=agent, key=key, flow=flow, run=run))
            self._concerned[names] = found
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


async def _either(event: asyncio.Event, seconds: float) -> None:
    """Wait for ``event``, but no longer than ``seconds``; clears it."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
    event.clear()


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
