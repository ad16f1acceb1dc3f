"""Streams that cost GPU time run as long as their budgets cover them, and never longer."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from gateway.budget.ledger import Claim, Concerned
from gateway.downstream import Presence
from gateway.errors import BudgetExhausted, GatewayError, StoreUnavailable
from gateway.extension import (
    END_SECONDS,
    LEAD_SECONDS,
    STEP_SECONDS,
    TICK_SECONDS,
    Extension,
    Extensions,
    amounts_for,
    first_seconds,
    whole_seconds,
)
from tests.doubles.clock import ManualClock
from tests.doubles.ledger import FailingLedger
from tests.doubles.transport import Hang
from tests.gateway.samples import budget
from tests.stores import eventually
from tests.tiers.samples import tier
from tiers.budgets import concerns
from tiers.price import GpuPrice, TokenPrice
from tiers.tiermap import Budget, Tier, Timeouts

PRICE = 100
"""Microdollars per GPU second."""
STEP = round(STEP_SECONDS * PRICE)
LOOKS = 5
"""At the clock, of which one may be that of an answer."""
TIER = tier(price=GpuPrice(microdollars_per_second=PRICE), timeouts=Timeouts(total=300))


class WatchedClock(ManualClock):
    """Counts how often it was looked at."""

    looks = 0

    def monotonic(self) -> float:
        """See ``Clock.monotonic``."""
        self.looks += 1
        return super().monotonic()


class Stream:
    """A stream that runs until it is interrupted; ``error`` is by what."""

    def __init__(self, limit: int, *, of: Tier = TIER, unit: str = "USD") -> None:
        self.clock = WatchedClock()
        self.ledger = FailingLedger(self.clock.unix)
        self.extensions = Extensions(ledger=self.ledger, clock=self.clock, tick_seconds=0.001)
        self.budget: Budget = budget(limit, unit=unit)
        concerned = Concerned(
            concerns(
                [self.budget, budget(9, name="count", unit="requests")], tier="", agent="", key="", flow="", run=""
            )
        )
        self.tier = of
        held = first_seconds(of, stream=True)
        self.claim = Claim(id="a", slot=None, concerned=concerned, amounts=[0, 1], life_seconds=400)
        self.claim.amounts = amounts_for(of, self.claim, held)
        self.held_seconds = held
        self.error: GatewayError | None = None
        self.extension: Extension | None = None
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Reserve, and run from now on."""
        await self.ledger.reserve(self.claim)
        self._task = asyncio.get_running_loop().create_task(self._run())
        await eventually(lambda: self.extension is not None)

    async def _run(self) -> None:
        try:
            with Presence() as presence:
                self.extension = self.extensions.watch(
                    self.tier, self.claim, presence, since=self.clock.monotonic(), held_seconds=self.held_seconds
                )
                await asyncio.Event().wait()
        except GatewayError as error:
            self.error = error

    async def held(self) -> int:
        """What the budget counts as held."""
        return (await self.ledger.memory.balances([self.budget]))[0].held

    async def looked(self) -> None:
        """Several ticks have gone by: a second stream, which begins now, keeps them going."""
        now = self.clock.monotonic()
        witness = self.extensions.watch(TIER, self.claim, Presence(), since=now, held_seconds=STEP_SECONDS)
        assert witness is not None
        before = self.clock.looks
        await eventually(lambda: self.clock.looks >= before + LOOKS)
        self.extensions.forget(witness)

    async def ended(self) -> GatewayError:
        """What it ended with."""
        await eventually(lambda: self.error is not None)
        assert self.error is not None
        return self.error

    async def close(self) -> None:
        """End it, if it runs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])


async def closing(stream: Stream, rest: Coroutine[Any, Any, None]) -> None:
    """Begin, do the rest, and end the stream whatever came of it."""
    await stream.begin()
    try:
        await rest
    finally:
        await stream.close()


async def test_the_next_step_is_held_well_before_the_last_is_used_up() -> None:
    stream = Stream(limit=10 * STEP)

    async def rest() -> None:
        stream.clock.advance(STEP_SECONDS - LEAD_SECONDS - 1)
        await stream.looked()
        assert (await stream.held(), stream.ledger.asked["extend"]) == (STEP, 0)
        stream.clock.advance(1)
        await eventually(lambda: stream.ledger.asked["extend"] == 1)
        await stream.looked()
        assert (await stream.held(), stream.ledger.asked["extend"]) == (2 * STEP, 1)
        assert list(stream.claim.amounts) == [2 * STEP, 1], "a request is one request however long it takes"
        stream.clock.advance(LEAD_SECONDS)
        await stream.looked()
        assert stream.error is None

    await closing(stream, rest())


async def test_a_stream_whose_budget_is_spent_ends_before_its_held_time_does() -> None:
    stream = Stream(limit=2 * STEP - 1)

    async def rest() -> None:
        stream.clock.advance(STEP_SECONDS - END_SECONDS - 0.1)
        await eventually(lambda: stream.ledger.asked["extend"] == 1)
        await stream.looked()
        assert stream.error is None, "what is held may be used"
        stream.clock.advance(0.1)
        error = await stream.ended()
        assert isinstance(error, BudgetExhausted)
        assert "'money'" in error.message
        assert await stream.held() == STEP

    await closing(stream, rest())


async def test_what_others_give_back_in_time_is_used() -> None:
    stream = Stream(limit=2 * STEP)
    other = Claim(id="b", slot=None, concerned=stream.claim.concerned, amounts=[STEP, 1], life_seconds=400)

    async def rest() -> None:
        await stream.ledger.reserve(other)
        stream.clock.advance(STEP_SECONDS - LEAD_SECONDS)
        await eventually(lambda: stream.ledger.asked["extend"] == 1)
        await stream.ledger.settle(other, [0, 1])
        stream.clock.advance(3)
        await eventually(lambda: stream.ledger.asked["extend"] == 2)
        stream.clock.advance(LEAD_SECONDS)
        await stream.looked()
        assert (stream.error, await stream.held()) == (None, 2 * STEP)

    await closing(stream, rest())


async def test_a_store_that_comes_back_in_time_was_never_noticed() -> None:
    stream = Stream(limit=2 * STEP)

    async def rest() -> None:
        stream.ledger.down.add("extend")
        stream.clock.advance(STEP_SECONDS - LEAD_SECONDS)
        await eventually(lambda: stream.ledger.asked["extend"] == 1)
        stream.ledger.down.clear()
        stream.clock.advance(3)
        await eventually(lambda: stream.ledger.asked["extend"] == 2)
        stream.clock.advance(LEAD_SECONDS)
        await stream.looked()
        assert (stream.error, await stream.held()) == (None, 2 * STEP)

    await closing(stream, rest())


@pytest.mark.parametrize("silent", [False, True])
async def test_without_the_store_a_stream_ends_with_its_held_time(*, silent: bool) -> None:
    """Whether it says that it is away or nothing at all."""
    stream = Stream(limit=9 * STEP)
    hang = Hang()

    async def rest() -> None:
        if silent:
            stream.ledger.slow["extend"] = hang
        else:
            stream.ledger.down.add("extend")
        stream.clock.advance(STEP_SECONDS - LEAD_SECONDS)
        await eventually(lambda: stream.ledger.asked["extend"] == 1)
        stream.clock.advance(LEAD_SECONDS - END_SECONDS)
        assert isinstance(await stream.ended(), StoreUnavailable)
        assert stream.extension is not None
        if stream.extension.asking is not None:
            stream.extension.asking.cancel()
            await asyncio.wait([stream.extension.asking])

    await closing(stream, rest())


async def test_a_reservation_that_has_ended_is_not_asked_for_again() -> None:
    stream = Stream(limit=9 * STEP)

    async def rest() -> None:
        await stream.ledger.settle(stream.claim, [STEP, 1])
        stream.clock.advance(STEP_SECONDS - LEAD_SECONDS)
        await eventually(lambda: stream.ledger.asked["extend"] == 1)
        stream.clock.advance(LEAD_SECONDS - END_SECONDS - 0.1)
        await stream.looked()
        assert (stream.ledger.asked["extend"], stream.error) == (1, None)
        stream.clock.advance(0.1)
        assert isinstance(await stream.ended(), StoreUnavailable)

    await closing(stream, rest())


async def test_the_last_step_reaches_the_deadline_and_no_further() -> None:
    short = tier(price=GpuPrice(microdollars_per_second=PRICE), timeouts=Timeouts(total=90))
    stream = Stream(limit=9_000_000_000, of=short, unit="GPU seconds")

    async def rest() -> None:
        stream.clock.advance(STEP_SECONDS - LEAD_SECONDS)
        await eventually(lambda: stream.ledger.asked["extend"] == 1)
        await stream.looked()
        assert await stream.held() == round(whole_seconds(short) * 1_000_000)
        stream.clock.advance(1000)
        await stream.looked()
        assert (stream.ledger.asked["extend"], stream.error) == (1, None)

    await closing(stream, rest())


async def test_a_stream_that_has_ended_is_left_alone() -> None:
    stream = Stream(limit=9 * STEP)

    async def rest() -> None:
        assert stream.extension is not None
        stream.extensions.forget(stream.extension)
        stream.clock.advance(STEP_SECONDS)
        await stream.looked()
        assert (stream.ledger.asked["extend"], stream.error) == (0, None)

    await closing(stream, rest())


@pytest.mark.parametrize(
    ("of", "unit", "held_seconds"),
    [
        (tier(price=TokenPrice(input_microdollars=1, output_microdollars=1)), "USD", 1.0),
        (TIER, "tokens", 1.0),
        (TIER, "USD", whole_seconds(TIER)),
    ],
)
async def test_what_does_not_grow_or_is_held_whole_is_not_watched(of: Tier, unit: str, held_seconds: float) -> None:
    stream = Stream(limit=10**9, unit=unit)
    watched = stream.extensions.watch(of, stream.claim, Presence(), since=0.0, held_seconds=held_seconds)
    assert watched is None


def test_only_a_stream_by_gpu_time_holds_less_than_its_whole_deadline() -> None:
    assert first_seconds(TIER, stream=True) == STEP_SECONDS
    assert first_seconds(TIER, stream=False) == 300 + END_SECONDS
    by_token = tier(price=TokenPrice(input_microdollars=1, output_microdollars=1), timeouts=Timeouts(total=300))
    assert first_seconds(by_token, stream=True) == 300 + END_SECONDS
    short = tier(price=GpuPrice(microdollars_per_second=PRICE), timeouts=Timeouts(total=20))
    assert first_seconds(short, stream=True) == 20 + END_SECONDS


def test_there_is_time_to_ask_to_notice_and_to_leave() -> None:
    assert TICK_SECONDS < END_SECONDS < LEAD_SECONDS < STEP_SECONDS
