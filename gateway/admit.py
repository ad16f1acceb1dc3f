"""Third step: let an attempt start. It takes a slot of its tier and a reservation in the ledger, or waits, or refuses.

A request that finds no slot waits in its tier's queue of this process, bounded in length and time, where agents take
turns (``tiers.fairness``). Only the first in line asks the ledger again, as soon as a slot is given back here, and from
time to time for those given back by other processes.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from gateway.budget.ledger import (
    AMOUNT_MAX,
    NOT_CONCERNED,
    Claim,
    Concerned,
    Ledger,
    NoBudget,
    NoSlot,
    Reserved,
)
from gateway.errors import ConcurrencyLimited, GatewayError, StoreUnavailable, TierSaturated
from gateway.exchange import Attempt, Caller, Clock, Exchange
from gateway.extension import first_seconds
from gateway.outage import Allowances
from gateway.refusals import exhausted, rate_limited
from gateway.waiting import OwnerSlot, TierSlots, Turn
from gateway.wire.identity import Identity
from gateway.wire.run_bounds import RunBounds
from tiers.budgets import amount, concerns, limits, run_concerns
from tiers.estimate import answer_bound, billed_seconds, prompt_bound, worst_case, worst_cost
from tiers.routing import Candidate
from tiers.tiermap import Budget, Concurrency, Tier
from tiers.usage import Usage

POLL_SECONDS: Final = 0.05
"""How often the first in a queue asks for slots that another process may have given back."""
RATE_POLL_SECONDS: Final = 1.0
"""How often who waits for a minute to go by looks again, at the least: another may have used less than it held."""
SATURATED_RETRY_SECONDS: Final = 5.0
CONCERNS_KEPT_MAX: Final = 10_000
"""For how many callers, agents and runs it is remembered which budgets concern them."""


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
        concurrency: Sequence[Concurrency] = (),
        live: dict[str, Claim] | None = None,
        allowances: Allowances | None = None,
        note: Callable[[Tier, Claim], None] | None = None,
        line: str = "",
    ) -> None:
        """``abandon`` takes claims of which nobody knows whether they were taken, and releases them in time; what was
        taken is put into ``live``, by its id. ``allowances`` say what may be let in while the ledger is away, and
        ``note`` is told of each that is. ``line`` is this process's name among those who wait for slots.
        """
        self._ledger = ledger
        self._clock = clock
        self._budgets = budgets
        self._concurrency = concurrency
        self._abandon = abandon
        self._live: dict[str, Claim] = live if live is not None else {}
        self._allowances = allowances if allowances is not None else Allowances()
        self._note = note
        self._line = line
        self._concerned: dict[tuple[str, str, str, str, str, str, int, RunBounds | None], Concerned] = {}
        self._units: dict[tuple[str, ...], tuple[str, ...]] = {}
        """Each combination of units once: what all requests read is close at hand."""
        self._slots = {name: TierSlots(tier) for name, tier in tiers.items()}

    async def __call__(self, exchange: Exchange, candidate: Candidate) -> tuple[Attempt, Claim]:
        """Take the slots and hold the worst case of the request on every budget concerned: all of it, or nothing.

        The attempt is added to the exchange. Whoever gets the claim settles or releases it.

        Raises:
            BudgetExhausted: A budget does not cover the worst case.
            RateLimited: What a minute allows is used up, and will be for longer than the request may wait.
            ConcurrencyLimited: No slot of an owner came free in the queue's bounds.
            TierSaturated: No slot of the tier did.
            StoreUnavailable: The ledger cannot be asked.
        """
        tier = candidate.tier
        attempt = Attempt(tier=tier, reason=candidate.reason, answer_bound=_answer_bound(exchange, tier))
        exchange.attempts.append(attempt)
        slot = self._slots[tier.name]
        claim = self._claim(exchange, attempt, slot)
        asked_at = self._clock.monotonic()
        obstacle: NoSlot | NoBudget | None = None
        away: StoreUnavailable | None = None
        taken = False
        try:
            if not slot.crowded:
                obstacle = await self._take(exchange, claim)
                taken = obstacle is None  # whoever came to wait meanwhile waits behind it
            if not taken:
                try:
                    await self._wait(exchange, tier, slot, claim, obstacle)
                finally:
                    attempt.queued_seconds = self._clock.monotonic() - asked_at
        except StoreUnavailable as error:
            away = error
        if away is not None:
            claim = self._let_in(exchange, attempt, claim, away)
        self._live[claim.id] = claim
        attempt.admitted_at = self._clock.monotonic()
        return attempt, claim

    def freed(self, tier: Tier, claim: Claim | None = None) -> None:
        """A slot of ``tier`` was given back, that of ``claim`` where it is at hand: wake the first in its queue."""
        known = claim.slot if claim is not None else None
        slot = known if isinstance(known, TierSlots) else self._slots[tier.name]
        slot.freed_since = True
        if slot.crowded:
            slot.freed.set()

    def queue_lengths(self) -> dict[str, int]:
        """How many requests wait for each tier in this process."""
        return {name: slot.waiting for name, slot in self._slots.items()}

    async def _take(self, exchange: Exchange, claim: Claim, line: str = "") -> NoSlot | NoBudget | None:
        """What is in the way for now, ``None`` where everything was taken; raises where waiting does not help."""
        try:
            answer = await self._ledger.reserve(claim, line)
        except (asyncio.CancelledError, StoreUnavailable):
            # The reservation may have been made, or may still be made, although nobody waits for it any more.
            self._abandon(claim)
            raise
        if isinstance(answer, Reserved):
            if answer.shadowed:
                _report_shadowed(exchange, claim, answer.shadowed)
            return None
        if isinstance(answer, NoBudget) and not answer.hold.concern.rate:
            exchange.refused_by = answer.hold.concern.budget
            raise exhausted(answer)
        return answer

    def _let_in(self, exchange: Exchange, attempt: Attempt, claim: Claim, away: StoreUnavailable) -> Claim:
        """Let a request in without the ledger, where its tier's allowance covers the worst case; raises ``away`` where
        it does not. Its claim has another id: the one that was asked for may still be taken, and released.
        """
        tier, worst = attempt.tier, 0
        if tier.outage.policy == "open":
            worst = _worst(exchange, attempt, extended=False)[1]
        if not self._allowances.take(tier, worst):
            raise away
        let_in = Claim(
            id=f"{claim.id}.open",
            slot=None,
            concerned=claim.concerned,
            amounts=_worst_amounts(exchange, attempt, claim.concerned, extended=False),
            life_seconds=claim.life_seconds,
            allowed=worst,
        )
        if self._note is not None:
            self._note(tier, let_in)
        return let_in

    def _patience(self, exchange: Exchange, tier: Tier) -> float:
        """How long it may wait. Who has waited for a worker to wake already does so up to its deadline."""
        if exchange.held_seconds > 0:
            return exchange.due - self._clock.monotonic()
        return tier.queue.wait_seconds

    async def _wait(
        self, exchange: Exchange, tier: Tier, slot: TierSlots, claim: Claim, obstacle: NoSlot | NoBudget | None
    ) -> None:
        """Wait until all is taken. Who waits for the tier's slots stands in line; who waits for something else first
        stands aside, so that nobody waits behind it, and keeps its place.
        """
        seconds = self._patience(exchange, tier)
        turn = self._turn(exchange, tier, slot, seconds)
        due = self._clock.monotonic() + seconds
        try:
            async with asyncio.timeout(seconds):
                while not turn.displaced:
                    line = ""
                    if obstacle is None or _is_tiers(obstacle, slot):
                        await self._in_line(slot, turn, asked=obstacle is not None)
                        line = self._line
                    else:
                        _check_rate(exchange, obstacle, due - self._clock.monotonic())
                        await self._aside(slot, turn, obstacle)
                    if not turn.displaced:
                        obstacle = await self._take(exchange, claim, line)
                        if obstacle is None:
                            slot.step_out(turn, served=True)
                            return
        except TimeoutError as error:
            raise _in_vain(exchange, tier, obstacle, seconds) from error
        finally:
            slot.step_out(turn, served=False)
            slot.aside -= turn.aside
        raise TierSaturated(
            f"All {tier.slots} slots of the tier {tier.name!r} are taken, its queue is full, and this agent has most"
            " requests in it. Try again later.",
            retry_after_seconds=SATURATED_RETRY_SECONDS,
        )

    def _turn(self, exchange: Exchange, tier: Tier, slot: TierSlots, seconds: float) -> Turn:
        """A place in line, not taken yet. Where the queue is full, another has to go, or there is none."""
        caller, priority = exchange.caller, exchange.candidates[0].priority if exchange.candidates else 0
        flow = exchange.identity.agent or (caller.name if caller is not None else "")
        if slot.waiting >= tier.queue.length and seconds <= tier.queue.wait_seconds:
            last = slot.line.displaced_by(flow, priority)
            if last is None:
                raise TierSaturated(
                    f"All {tier.slots} slots of the tier {tier.name!r} are taken and its queue is full"
                    f" ({tier.queue.length} requests). Try again later.",
                    retry_after_seconds=SATURATED_RETRY_SECONDS,
                )
            leaving = slot.turns[last]
            leaving.displaced = True
            slot.step_out(leaving, served=False)
            leaving.come.set()
        return Turn(slot.line.place(flow, priority))

    async def _in_line(self, slot: TierSlots, turn: Turn, *, asked: bool) -> None:
        """Wait in line until it is worth to ask the ledger."""
        if turn.place not in slot.turns:
            slot.aside -= turn.aside
            slot.stand(turn)
        if asked and slot.line.first is turn.place:
            await slot.next_freed(POLL_SECONDS)
            if slot.line.first is not turn.place:
                slot.pass_on()
        while slot.line.first is not turn.place and not turn.displaced:
            turn.come.clear()
            await turn.come.wait()

    async def _aside(self, slot: TierSlots, turn: Turn, obstacle: NoSlot | NoBudget) -> None:
        """Wait for something that is not the tier's."""
        slot.step_out(turn, served=False)
        slot.aside += not turn.aside
        turn.aside = True
        rest = obstacle.window_ends_in_seconds if isinstance(obstacle, NoBudget) else 0.0
        await asyncio.sleep(min(max(rest, POLL_SECONDS), RATE_POLL_SECONDS))

    def _claim(self, exchange: Exchange, attempt: Attempt, slot: TierSlots) -> Claim:
        number = len(exchange.attempts)
        concerned = self._concerned_by(exchange, slot)
        return Claim(
            id=exchange.request_id if number == 1 else f"{exchange.request_id}.{number}",
            slot=slot,
            concerned=concerned,
            amounts=_worst_amounts(
                exchange, attempt, concerned, extended=exchange.call is not None and exchange.call.stream
            ),
            life_seconds=slot.life_seconds,
        )

    def _concerned_by(self, exchange: Exchange, slot: TierSlots) -> Concerned:
        """Which budgets and limits concern a request for ``slot``; kept, since the same callers come again."""
        caller, identity = exchange.caller, exchange.identity
        if caller is None or exchange.call is None:
            return NOT_CONCERNED
        found = caller.latest
        if isinstance(found, Concerned) and found.slot is slot and found.identity is identity:
            return found
        if not (self._budgets or self._concurrency or caller.budgets or caller.concurrency) and identity.bounds is None:
            return NOT_CONCERNED
        found = caller.latest = self._concerned_anew(caller, identity, slot.name)
        found.slot, found.identity = slot, identity
        return found

    def _concerned_anew(self, caller: Caller, identity: Identity, tier: str) -> Concerned:
        # A virtual key whose limits are changed is another caller of the same name.
        own = hash((caller.budgets, caller.concurrency)) if caller.budgets or caller.concurrency else 0
        names = (tier, identity.agent, caller.name, identity.flow, identity.run, caller.team, own, identity.bounds)
        found = self._concerned.get(names)
        if found is None:
            if len(self._concerned) >= CONCERNS_KEPT_MAX:
                self._concerned.clear()
            found = self._concerned[names] = self._worked_out(caller, identity, tier)
            found.units = self._units.setdefault(found.units, found.units)
        return found

    def _worked_out(self, caller: Caller, identity: Identity, tier: str) -> Concerned:
        agent, flow, run = identity.agent, identity.flow, identity.run
        budgets, most = self._budgets, self._concurrency
        held = concerns(budgets, tier=tier, agent=agent, key=caller.name, flow=flow, run=run, team=caller.team)
        owned = limits(most, tier=tier, agent=agent, key=caller.name, flow=flow, run=run, team=caller.team)
        if identity.bounds is not None:
            # First: a run's own budgets refuse for good, whatever the others would lead to.
            run_usd, run_calls = identity.bounds.microdollars, identity.bounds.calls
            held = run_concerns(run, microdollars=run_usd, calls=run_calls) + held
        # A virtual key's bounds name whose they are: its own, or those of the keys that made it.
        for own in caller.budgets:
            held += concerns([own], tier="", agent="", key=own.owner.pattern, flow="", run="")
        for bound in caller.concurrency:
            owned += limits([bound], tier="", agent="", key=bound.owner.pattern, flow="", run="")
        slots = [OwnerSlot(one.name, owner, one.slots) for one, owner in owned]
        return Concerned(held, tuple(slots))


def _is_tiers(obstacle: NoSlot | NoBudget, slot: TierSlots) -> bool:
    return isinstance(obstacle, NoSlot) and obstacle.slot.name == slot.name


def _report_shadowed(exchange: Exchange, claim: Claim, indices: Sequence[int]) -> None:
    names = [claim.concerned.concerns[index].budget for index in indices]
    exchange.shadowed = tuple(dict.fromkeys([*exchange.shadowed, *names]))


def _check_rate(exchange: Exchange, obstacle: NoSlot | NoBudget, seconds: float) -> None:
    """Raise ``RateLimited`` where the minute goes by too late for a request that may wait for so many seconds."""
    if isinstance(obstacle, NoBudget) and (
        obstacle.window_ends_in_seconds > seconds or obstacle.hold.amount > obstacle.hold.concern.limit
    ):
        exchange.refused_by = obstacle.hold.concern.budget
        raise rate_limited(obstacle)


def _in_vain(exchange: Exchange, tier: Tier, obstacle: NoSlot | NoBudget | None, seconds: float) -> GatewayError:
    """What a request is told that has waited for ``seconds``."""
    if isinstance(obstacle, NoBudget):
        exchange.refused_by = obstacle.hold.concern.budget
        return rate_limited(obstacle)
    if obstacle is not None and isinstance(obstacle.slot, OwnerSlot):
        limit = obstacle.slot
        exchange.refused_by = limit.limit
        return ConcurrencyLimited(
            f"{limit.owner} has {limit.capacity} requests under way, as many as the limit {limit.limit!r} allows, and"
            f" had for {seconds:g} seconds. Try again later.",
            retry_after_seconds=SATURATED_RETRY_SECONDS,
        )
    return TierSaturated(
        f"All {tier.slots} slots of the tier {tier.name!r} stayed taken for {seconds:g} seconds. Try again later.",
        retry_after_seconds=SATURATED_RETRY_SECONDS,
    )


def _worst_amounts(exchange: Exchange, attempt: Attempt, concerned: Concerned, *, extended: bool) -> Sequence[int]:
    """What the request's worst case takes from each budget that concerns it; or at first, where it is ``extended``."""
    if exchange.call is None or not concerned.units:
        return ()
    usage, cost, seconds = _worst(exchange, attempt, extended=extended)
    # A caller may ask for any number of answers; what no ledger can hold is more than any budget all the same.
    amounts: list[int] = []
    for unit in concerned.units:
        most = amount(unit, usage, cost, seconds)
        if most > AMOUNT_MAX:  # noqa: PLR1730 - min() is called as a builtin, for every budget of every request
            most = AMOUNT_MAX
        amounts.append(most)
    return amounts


def _worst(exchange: Exchange, attempt: Attempt, *, extended: bool) -> tuple[Usage, int, float]:
    """The tokens, microdollars and GPU seconds that a request needs at most; or at first, where it is ``extended``."""
    call, tier = exchange.call, attempt.tier
    if call is None:
        return Usage(), 0, 0.0
    usage = worst_case(
        tier,
        prompt_tokens=prompt_bound(tier, call.prompt, body_bytes=len(call.body)),
        max_output=call.max_output if call.max_output is not None else attempt.answer_bound,
        choices=call.choices,
        generates=exchange.operation.generates,
    )
    held = first_seconds(tier, stream=extended)
    return usage, worst_cost(tier, usage, held), billed_seconds(tier, held)


def _answer_bound(exchange: Exchange, tier: Tier) -> int | None:
    call = exchange.call
    if call is None or call.max_output is not None or exchange.operation.bound_field is None:
        return None
    return answer_bound(tier, prompt_bytes=tier.context if call.prompt.unbounded else len(call.body))
