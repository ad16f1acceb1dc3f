"""Sixth step, on every way out: turn the attempt's reservation into what it really cost.

What the endpoint never got, or refused, is released. What it may have worked on is settled, also when the client left
or the answer broke. Where the store does not answer, or the settling itself is interrupted, the settlement is kept and
tried again until the reservation's life is over; repeating one is safe, since the ledger books each id once.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Sequence

from gateway.budget.ledger import AMOUNT_MAX, LIFE_SECONDS_MAX, Claim, Ledger
from gateway.errors import StoreUnavailable
from gateway.exchange import Attempt, Clock, Exchange
from gateway.outage import Allowances
from tiers.budgets import amount
from tiers.estimate import billed_seconds, likely_prompt_tokens
from tiers.usage import Usage

UNSETTLED_MAX = 100_000
"""Settlements kept for later; beyond it the oldest are left to expire, which charges their worst case."""
RETRY_SECONDS = 1.0
_OK = 200


class _Settlement:
    """``amounts`` is what to book per hold; ``None`` releases the claim. Not tried any more after ``until``.

    ``attempt`` is one that was let in without the ledger, ``None`` for all others.
    """

    __slots__ = ("amounts", "attempt", "claim", "until")

    def __init__(
        self, *, claim: Claim, amounts: Sequence[int] | None, until: float, attempt: Attempt | None = None
    ) -> None:
        self.claim = claim
        self.amounts = amounts
        self.until = until
        self.attempt = attempt


class Settler:
    """Settles attempts against one ledger.

    Attributes:
        live: The claims of attempts that are under way, by their ids.
        allowances: What may be let in while the ledger is away.
    """

    def __init__(self, *, ledger: Ledger, clock: Clock, retry_seconds: float = RETRY_SECONDS) -> None:
        """``retry_seconds``: how long to wait between tries while the store does not answer."""
        self.live: dict[str, Claim] = {}
        self.allowances = Allowances()
        self._ledger = ledger
        self._clock = clock
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
        amounts = None
        if _worked(attempt):
            usage = attempt.usage if attempt.usage is not None else _prompt_alone(exchange)
            if exchange.usage is None:
                exchange.usage = usage
            attempt.gpu_seconds = gpu_seconds
            cost = attempt.cost_microdollars = attempt.tier.price.cost(usage, gpu_seconds)
            seconds = billed_seconds(attempt.tier, gpu_seconds)
            amounts = [min(amount(unit, usage, cost, seconds), AMOUNT_MAX) for unit in claim.concerned.units]
        if claim.allowed is not None:
            self.allowances.ended(attempt.tier, claim.allowed, attempt.cost_microdollars)
            if amounts is not None:
                self._keep(_Settlement(claim=claim, amounts=amounts, until=now + LIFE_SECONDS_MAX, attempt=attempt))
            return
        settlement = _Settlement(claim=claim, amounts=amounts, until=now + claim.life_seconds)
        try:
            await self._book(settlement)
        except (StoreUnavailable, asyncio.CancelledError) as error:
            self._keep(settlement)
            if isinstance(error, asyncio.CancelledError):
                raise

    def release_later(self, claim: Claim) -> None:
        """Release a claim that may have been taken or not, as soon as the store answers."""
        self._keep(_Settlement(claim=claim, amounts=None, until=self._clock.monotonic() + claim.life_seconds))

    async def run(self) -> None:
        """Book kept settlements as soon as the store answers again; runs until cancelled."""
        while True:
            await self._woken.wait()
            await self.book_kept()
            if self._unsettled:
                await asyncio.sleep(self._retry_seconds)
            else:
                self._woken.clear()

    async def book_kept(self) -> None:
        """Book the kept settlements, oldest first, as far as the store answers; those too old are left to expire."""
        while self._unsettled:
            settlement = self._unsettled[0]
            if self._clock.monotonic() < settlement.until:
                try:
                    await self._book(settlement)
                except StoreUnavailable:
                    return
            self._unsettled.popleft()

    def _keep(self, settlement: _Settlement) -> None:
        self._unsettled.append(settlement)
        self._woken.set()

    def _book(self, settlement: _Settlement) -> Awaitable[bool]:
        if settlement.attempt is not None and settlement.amounts is not None:
            return self._book_allowed(settlement.claim, settlement.amounts, settlement.attempt)
        if settlement.amounts is None:
            return self._ledger.release(settlement.claim)
        return self._ledger.settle(settlement.claim, settlement.amounts)

    async def _book_allowed(self, claim: Claim, amounts: Sequence[int], attempt: Attempt) -> bool:
        done = await self._ledger.book(claim, amounts)
        self.allowances.booked(attempt.tier, attempt.cost_microdollars)
        return done


def _worked(attempt: Attempt) -> bool:
    """Whether the endpoint may have worked on the attempt: it was sent there and not answered with an error."""
    return attempt.sent_at is not None and attempt.upstream_status in {None, _OK}


def _prompt_alone(exchange: Exchange) -> Usage:
    """What an attempt that brought no answer is taken to have used: its prompt, by the gateway's count."""
    return Usage(input=likely_prompt_tokens(len(exchange.call.body)) if exchange.call is not None else 0)
