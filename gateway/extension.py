"""Reservations of long streams are extended in steps while they run, where GPU time is what they cost.

Such a stream holds its first minute and not its whole deadline. Well before the held time is used up the next step is
asked for; where it is not to be had, the stream ends while all that it has cost is still held. So what is settled never
exceeds what is held, by this process's clock.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.budget.ledger import AMOUNT_MAX, Claim, Ledger, NoBudget, Over
from gateway.downstream import Presence
from gateway.errors import BudgetExhausted, GatewayError, StoreUnavailable
from gateway.exchange import Clock
from tiers.budgets import amount, brought_by_run, limit_text
from tiers.price import GpuPrice
from tiers.tiermap import Tier
from tiers.usage import Usage
from tiers.wording import amount_text

STEP_SECONDS: Final = 60.0
"""The GPU time that a stream holds at first, and by how much more each time."""
LEAD_SECONDS: Final = 20.0
"""How long before the held time is used up the next step is asked for."""
RETRY_SECONDS: Final = 2.0
"""How long after a refusal it is asked for again: others may have given something back, or the store come back."""
END_SECONDS: Final = 1.0
"""How long before the held time is used up a stream without a next step ends: time to notice, and to leave."""
TICK_SECONDS: Final = 0.25
"""How often it is looked at those that run."""
_NO_TOKENS: Final = Usage()


def whole_seconds(tier: Tier) -> float:
    """The most GPU time that a request of the tier can take: its whole deadline, and the time to end it."""
    return tier.timeouts.total + END_SECONDS


def first_seconds(tier: Tier, *, stream: bool) -> float:
    """The GPU time that a request holds when it is admitted: a step, where it can be extended, or all."""
    whole = whole_seconds(tier)
    return min(STEP_SECONDS, whole) if stream and isinstance(tier.price, GpuPrice) else whole


def amounts_for(tier: Tier, claim: Claim, seconds: float) -> list[int]:
    """What ``claim`` holds when it covers so much GPU time. What does not grow with time stays as it is."""
    cost = tier.price.cost(_NO_TOKENS, seconds)
    return [
        max(held, min(amount(unit, _NO_TOKENS, cost, seconds), AMOUNT_MAX)) if unit in {"USD", "GPU seconds"} else held
        for unit, held in zip(claim.concerned.units, claim.amounts, strict=True)
    ]


@dataclass(slots=True, kw_only=True, eq=False)
class Extension:
    """One stream whose reservation is extended.

    Attributes:
        since: When its held time began, by the process's clock.
        held_seconds: The GPU time that its claim covers.
        asked_next: When the next step is asked for.
        refusal: What it is told if it has to end now.
    """

    tier: Tier
    claim: Claim
    presence: Presence
    since: float
    held_seconds: float
    asked_next: float
    refusal: GatewayError
    asking: asyncio.Task[None] | None = None

    @property
    def ends(self) -> float:
        """When it has to end without a further step."""
        return self.since + self.held_seconds - END_SECONDS


class Extensions:
    """Extends the reservations of all long streams of a process, with one timer for all of them."""

    def __init__(self, *, ledger: Ledger, clock: Clock, tick_seconds: float = TICK_SECONDS) -> None:
        """``tick_seconds`` is how often it is looked at them; less than ``END_SECONDS``."""
        self._ledger = ledger
        self._clock = clock
        self._tick_seconds = tick_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watched: set[Extension] = set()
        self._ticking = False

    def watch(
        self, tier: Tier, claim: Claim, presence: Presence, *, since: float, held_seconds: float
    ) -> Extension | None:
        """Extend ``claim``, which covers ``held_seconds`` from ``since`` on, until ``forget``.

        Where it cannot be extended, ``presence`` ends with ``BudgetExhausted`` or ``StoreUnavailable``.

        Returns:
            ``None`` where nothing has to be extended: no budget grows with GPU time, or all of it is held.
        """
        units = claim.concerned.units
        grows = isinstance(tier.price, GpuPrice) and ("USD" in units or "GPU seconds" in units)
        if not grows or held_seconds >= whole_seconds(tier):
            return None
        extension = Extension(
            tier=tier,
            claim=claim,
            presence=presence,
            since=since,
            held_seconds=held_seconds,
            asked_next=since + held_seconds - LEAD_SECONDS,
            refusal=_silent(),
        )
        self._watched.add(extension)
        if not self._ticking:
            self._ticking = True
            loop = self._loop = self._loop or asyncio.get_running_loop()
            loop.call_later(self._tick_seconds, self._tick, loop)
        return extension

    def forget(self, extension: Extension) -> None:
        """Its stream has ended. What is still asked for it changes nothing: the ledger settles its claim once."""
        self._watched.discard(extension)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = self._clock.monotonic()
        for extension in list(self._watched):
            if now >= extension.ends:
                self._watched.discard(extension)
                extension.presence.interrupt(extension.refusal)
            elif now >= extension.asked_next and extension.asking is None:
                extension.asking = loop.create_task(self._extend(extension))
        if self._watched:
            loop.call_later(self._tick_seconds, self._tick, loop)
        else:
            self._ticking = False

    async def _extend(self, extension: Extension) -> None:
        """Ask for the next step once, and note what came of it."""
        whole = whole_seconds(extension.tier)
        seconds = min(extension.held_seconds + STEP_SECONDS, whole)
        amounts = amounts_for(extension.tier, extension.claim, seconds)
        try:
            answer = await self._ledger.extend(extension.claim, amounts)
        except StoreUnavailable as error:
            extension.refusal = error
            extension.asked_next = self._clock.monotonic() + RETRY_SECONDS
            return
        finally:
            extension.asking = None
        if isinstance(answer, NoBudget):
            extension.refusal = _spent(answer)
            extension.asked_next = self._clock.monotonic() + RETRY_SECONDS
        elif isinstance(answer, Over):
            extension.refusal = _lost()
            extension.asked_next = extension.since + whole  # a reservation that has ended does not come back
        else:
            self._took(extension, amounts, seconds)

    def _took(self, extension: Extension, amounts: Sequence[int], seconds: float) -> None:
        extension.claim.amounts = amounts
        extension.held_seconds = seconds
        extension.asked_next = extension.since + seconds - LEAD_SECONDS
        extension.refusal = _silent()
        if seconds >= whole_seconds(extension.tier):
            self.forget(extension)  # its deadline ends it


def _spent(answer: NoBudget) -> BudgetExhausted:
    concern = answer.hold.concern
    whose = f" of {concern.owner}" if concern.owner else ""
    return BudgetExhausted(
        f"The answer ends here: the budget {concern.budget!r}{whose} has"
        f" {amount_text(max(0, answer.available), concern.unit)} left of {limit_text(concern)}, and its next part may"
        f" cost {amount_text(answer.hold.amount, concern.unit)}.",
        param=concern.budget if brought_by_run(concern) else None,
        retry_after_seconds=None if brought_by_run(concern) else answer.window_ends_in_seconds,
    )


def _silent() -> StoreUnavailable:
    return StoreUnavailable("The answer ends here: the store did not say in time whether its budgets cover the rest.")


def _lost() -> StoreUnavailable:
    return StoreUnavailable("The answer ends here: the store knows no reservation that would cover the rest.")
