"""Sixth step, on every way out: turn the attempt's reservation into what it really cost.

What the endpoint never got, or refused, is released. What it may have worked on is settled, also when the client left
or the answer broke. Where the store does not answer, or the settling itself is interrupted, the settlement is kept, in
memory and in the journal, and tried again until the reservation's life is over; repeating one is safe, since the ledger
books each id once.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from gateway.budget.ledger import AMOUNT_MAX, LIFE_SECONDS_MAX, Claim, Ledger
from gateway.errors import StoreUnavailable
from gateway.exchange import Attempt, Clock, Exchange
from gateway.journal import Journal
from gateway.outage import Allowances
from tiers.budgets import amount
from tiers.estimate import billed_seconds, likely_prompt_tokens
from tiers.price import GpuPrice
from tiers.tiermap import Tier
from tiers.usage import Usage

UNSETTLED_MAX: Final = 100_000
"""Settlements kept for later in memory; beyond it the oldest are left to the journal, and to who starts next."""
RETRY_SECONDS: Final = 1.0
_OK: Final = 200
_OF_TIME: Final = frozenset({"USD", "GPU seconds"})


def _nobody(tier: str) -> None:
    """For those who need not be told."""


class _Settlement:
    """``amounts`` is what to book per hold; ``None`` releases the claim. Not tried any more after ``until``.

    ``tier`` and ``cost`` in microdollars are of one that was let in without the ledger, "" for all others.
    """

    __slots__ = ("amounts", "claim", "cost", "tier", "until")

    def __init__(
        self, *, claim: Claim, amounts: Sequence[int] | None, until: float, tier: str = "", cost: int = 0
    ) -> None:
        self.claim = claim
        self.amounts = amounts
        self.until = until
        self.tier = tier
        self.cost = cost


class Settler:
    """Settles attempts against one ledger.

    Attributes:
        live: The claims of attempts that are under way, by their ids.
        allowances: What may be let in while the ledger is away.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        clock: Clock,
        journal: Journal | None = None,
        over_reported: Callable[[str], None] = _nobody,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        """``retry_seconds``: how long to wait between tries while the store does not answer. What is kept without a
        ``journal`` ends with the process. ``over_reported`` is told of each amount above what was held, by tier.
        """
        self.live: dict[str, Claim] = {}
        self.allowances = Allowances()
        self._ledger = ledger
        self._clock = clock
        self._journal = journal
        self._over_reported = over_reported
        self._unsettled: deque[_Settlement] = deque(maxlen=UNSETTLED_MAX)
        self._woken = asyncio.Event()
        self._retry_seconds = retry_seconds

    @property
    def unsettled(self) -> int:
        """How many settlements wait for the store."""
        return len(self._unsettled)

    async def __call__(self, exchange: Exchange, attempt: Attempt, claim: Claim, gpu_seconds: float) -> None:
        """Settle or release the attempt's claim; fills in its cost. Never raises but for cancellation."""
        now = attempt.ended_at = self._clock.monotonic()
        self.live.pop(claim.id, None)
        amounts: list[int] | None = None
        if _worked(attempt):
            usage = attempt.usage if attempt.usage is not None else _prompt_alone(exchange)
            if exchange.usage is None:
                exchange.usage = usage
            attempt.gpu_seconds = gpu_seconds
            cost = attempt.cost_microdollars = attempt.tier.price.cost(usage, gpu_seconds)
            seconds = billed_seconds(attempt.tier, gpu_seconds)
            amounts = []
            for index, unit in enumerate(claim.concerned.units):
                spent, held = amount(unit, usage, cost, seconds), claim.amounts[index]
                amounts.append(spent if spent <= held else self._covered(attempt, unit, spent, held))
        if claim.allowed is not None:
            self._end_let_in(attempt, claim, amounts)
            return
        settlement = _Settlement(claim=claim, amounts=amounts, until=now + claim.life_seconds)
        try:
            await self._book(settlement)
        except (StoreUnavailable, asyncio.CancelledError) as error:
            self._keep(settlement)
            if isinstance(error, asyncio.CancelledError):
                raise

    def _covered(self, attempt: Attempt, unit: str, most: int, held: int) -> int:
        """What is charged of ``most``, which is more than was held.

        By token, what was held covers all that the request could take: an endpoint that reports more is wrong, or the
        tier's ``template_tokens`` are, and no budget pays for that. GPU time is what it is.
        """
        if unit in _OF_TIME and isinstance(attempt.tier.price, GpuPrice):
            return min(most, AMOUNT_MAX)
        if unit == "USD":
            attempt.cost_microdollars = held
        self._over_reported(attempt.tier.name)
        return held

    def let_in(self, tier: Tier, claim: Claim) -> None:
        """Note that an attempt begins without the ledger: if this process dies, its worst case is booked."""
        if self._journal is not None:
            self._journal.keep(
                claim,
                claim.amounts,
                seconds=LIFE_SECONDS_MAX,
                tier=tier.name,
                microdollars=claim.allowed if claim.allowed is not None else 0,
            )

    def adopt(self) -> None:
        """Take over what processes that are gone could not book; it is booked as soon as the store answers."""
        if self._journal is None:
            return
        now, now_unix = self._clock.monotonic(), self._clock.unix()
        for entry in self._journal.adopt():
            seconds = entry.until_unix - now_unix
            tier = entry.tier if entry.let_in else ""
            self.allowances.owed(tier, entry.microdollars)
            self._unsettled.append(
                _Settlement(
                    claim=entry.claim(seconds),
                    amounts=entry.amounts,
                    until=now + seconds,
                    tier=tier,
                    cost=entry.microdollars,
                )
            )
            self._woken.set()

    def release_later(self, claim: Claim) -> None:
        """Release a claim that may have been taken or not, as soon as the store answers."""
        self._keep(_Settlement(claim=claim, amounts=None, until=self._clock.monotonic() + claim.life_seconds))

    async def run(self) -> None:
        """Book kept settlements as soon as the store answers again; runs until cancelled."""
        while True:
            await self._woken.wait()
            await self.book_kept()
            if self._unsettled:
                if self._journal is not None:
                    await self._journal.sync()
                await asyncio.sleep(self._retry_seconds)
            else:
                self._woken.clear()

    async def book_kept(self) -> None:
        """Book the kept settlements, oldest first, as far as the store answers; those too old are left to expire."""
        while self._unsettled:
            settlement = self._unsettled[0]
            in_time = self._clock.monotonic() < settlement.until
            if in_time:
                try:
                    await self._book(settlement)
                except StoreUnavailable:
                    return
            if self._unsettled[0] is settlement:
                self._unsettled.popleft()
            if settlement.tier:
                self.allowances.booked(settlement.tier, settlement.cost)
            if self._journal is not None:
                if in_time:
                    self._journal.done(settlement.claim.id)
                else:
                    self._journal.lost(settlement.claim.id)

    def _end_let_in(self, attempt: Attempt, claim: Claim, amounts: Sequence[int] | None) -> None:
        """Have what was let in without the ledger booked, as soon as it answers."""
        tier, cost = attempt.tier, attempt.cost_microdollars
        self.allowances.ended(tier, claim.allowed if claim.allowed is not None else 0, cost)
        if amounts is not None:
            until = self._clock.monotonic() + LIFE_SECONDS_MAX
            self._keep(_Settlement(claim=claim, amounts=amounts, until=until, tier=tier.name, cost=cost))
        elif self._journal is not None:
            self._journal.done(claim.id)

    def _keep(self, settlement: _Settlement) -> None:
        if self._journal is not None:
            self._journal.keep(
                settlement.claim,
                settlement.amounts,
                seconds=settlement.until - self._clock.monotonic(),
                tier=settlement.tier,
                microdollars=settlement.cost,
            )
        self._unsettled.append(settlement)
        self._woken.set()

    def _book(self, settlement: _Settlement) -> Awaitable[bool]:
        if settlement.amounts is None:
            return self._ledger.release(settlement.claim)
        if settlement.claim.allowed is not None:
            return self._ledger.book(settlement.claim, settlement.amounts)
        return self._ledger.settle(settlement.claim, settlement.amounts)


def _worked(attempt: Attempt) -> bool:
    """Whether the endpoint may have worked on the attempt: it was sent there and not answered with an error."""
    return attempt.sent_at is not None and (attempt.upstream_status is None or attempt.upstream_status == _OK)


def _prompt_alone(exchange: Exchange) -> Usage:
    """What an attempt that brought no answer is taken to have used: its prompt, by the gateway's count."""
    return Usage(input=likely_prompt_tokens(len(exchange.call.body)) if exchange.call is not None else 0)
