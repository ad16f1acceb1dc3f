"""What an attempt really cost, booked once on every way out."""

import asyncio
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.budget.ledger import AMOUNT_MAX, LIFE_SECONDS_MAX, Claim, Concerned, SlotClaim
from gateway.exchange import Attempt, Exchange
from gateway.journal import Journal
from gateway.settle import Settler
from tests.doubles.clock import ManualClock
from tests.doubles.ledger import FailingLedger
from tests.doubles.transport import Hang
from tests.gateway.samples import attempt, budget, call, exchange, token_tier
from tests.stores import eventually
from tiers.budgets import amount, concerns
from tiers.price import GpuPrice
from tiers.tiermap import Outage, Tier
from tiers.usage import Usage

BUDGETS = (budget(), budget(name="tokens", unit="tokens"), budget(name="calls", unit="requests"))
PROMPT = -(-len(call().body) // 4)
GONE = {"sent_at": None}
WORKED = {"sent_at": 1000.0, "upstream_status": 200}


class Till:
    """A settler, and a ledger with one reserved claim."""

    def __init__(self, life_seconds: float = 60.0) -> None:
        self.clock = ManualClock()
        self.ledger = FailingLedger(self.clock.unix)
        self.journals: list[Journal] = []
        self.settle = Settler(ledger=self.ledger, clock=self.clock, retry_seconds=0.001)
        self.life_seconds = life_seconds
        self.claims = 0

    def restart(self, directory: Path) -> None:
        """The process ends and another begins, with the journal in that directory."""
        for journal in self.journals:
            journal.close()
        self.journals = [Journal(directory, now_unix=self.clock.unix, report=lambda *_, **__: None)]
        self.settle = Settler(ledger=self.ledger, clock=self.clock, journal=self.journals[0], retry_seconds=0.001)
        self.settle.adopt()

    async def reserve(self) -> Claim:
        """One more claim: 500 of each budget, and a slot."""
        self.claims += 1
        concerned = Concerned(concerns(BUDGETS, tier="routing", agent="", key="demo", flow="", run=""))
        amounts = [amount(unit, Usage(input=500), 500, 0.0) for unit in concerned.units]
        slot = SlotClaim(name="routing", capacity=9)
        claim = Claim(
            id=f"req_{self.claims}",
            slot=slot,
            concerned=concerned,
            amounts=amounts,
            life_seconds=self.life_seconds,
        )
        await self.ledger.reserve(claim)
        return claim

    async def spent(self) -> dict[str, tuple[int, int]]:
        """Budget → settled and held."""
        return {one.budget: (one.settled, one.held) for one in await self.ledger.memory.balances(BUDGETS)}


async def settled(usage: Usage | None, *, gpu_seconds: float = 0.0, **fields: Any) -> tuple[Till, Exchange, Attempt]:  # noqa: ANN401 - any of Attempt's fields
    """One attempt, settled."""
    till = Till()
    ended, one = exchange(usage=usage), attempt(**fields)
    one.usage = usage
    await till.settle(ended, one, await till.reserve(), gpu_seconds)
    return till, ended, one


async def test_what_was_used_is_booked_and_the_rest_goes_back() -> None:
    """Money by the tier's price, tokens in and out, one request; the slot is free."""
    till, _, one = await settled(Usage(input=7, output=3), gpu_seconds=1.5, **WORKED)
    assert await till.spent() == {"money": (13, 0), "tokens": (10, 0), "calls": (1, 0)}
    assert (one.cost_microdollars, one.gpu_seconds, one.ended_at) == (13, 1.5, 1000.0)
    assert await till.ledger.slots_held(["routing"]) == {"routing": 0}


async def test_gpu_time_is_paid_by_the_second() -> None:
    """Rounded up, once."""
    tier = token_tier(price=GpuPrice(microdollars_per_second=310))
    till, _, one = await settled(Usage(input=7), gpu_seconds=1.501, tier=tier, **WORKED)
    assert one.cost_microdollars == 466
    assert (await till.spent())["money"] == (466, 0)


@pytest.mark.parametrize(
    "fields",
    [GONE, {"sent_at": 1000.0, "upstream_status": 400}, {"sent_at": 1000.0, "upstream_status": 503}],
    ids=["never sent", "refused", "failed"],
)
async def test_what_the_endpoint_did_not_work_on_costs_nothing(fields: dict[str, Any]) -> None:
    """All goes back."""
    till, _, one = await settled(None, gpu_seconds=2.0, **fields)
    assert till.ledger.resolved == [("req_1", "released")]
    assert await till.spent() == {"money": (0, 0), "tokens": (0, 0), "calls": (0, 0)}
    assert (one.cost_microdollars, one.gpu_seconds) == (0, 0.0)


async def test_what_was_sent_and_brought_no_answer_costs_its_prompt() -> None:
    """The endpoint may have worked on it; the gateway counts what it knows."""
    till, ended, _ = await settled(None, sent_at=1000.0)
    assert ended.usage == Usage(input=PROMPT)
    assert (await till.spent())["tokens"] == (PROMPT, 0)


async def test_a_request_of_which_nothing_was_read_has_no_prompt() -> None:
    """Nor a cost."""
    till = Till()
    await till.settle(exchange(call=None), attempt(**WORKED), await till.reserve(), 0.0)
    assert (await till.spent())["tokens"] == (0, 0)


async def test_an_endpoint_that_reports_more_than_a_request_could_take_spends_no_budget_of_it() -> None:
    """Nor does any number that it reports keep a reservation from ending; whose tier that is, is told."""
    till = Till()
    told: list[str] = []
    till.settle = Settler(ledger=till.ledger, clock=till.clock, over_reported=told.append)
    one = attempt(**WORKED)
    one.usage = Usage(input=10**30)
    await till.settle(exchange(usage=one.usage), one, await till.reserve(), 0.0)
    assert await till.spent() == {"money": (500, 0), "tokens": (500, 0), "calls": (1, 0)}
    assert one.cost_microdollars == 500
    assert told == ["routing", "routing"]


async def test_gpu_time_is_charged_as_it_was_also_above_what_was_held() -> None:
    """As far as a ledger can count. Its tokens are bounded as anybody's."""
    tier = token_tier(price=GpuPrice(microdollars_per_second=310))
    till, _, one = await settled(Usage(input=600), gpu_seconds=2.0, tier=tier, **WORKED)
    assert await till.spent() == {"money": (620, 0), "tokens": (500, 0), "calls": (1, 0)}
    assert one.cost_microdollars == 620
    till, _, _ = await settled(Usage(), gpu_seconds=1e15, tier=tier, **WORKED)
    assert (await till.spent())["money"] == (AMOUNT_MAX, 0)


async def test_a_settlement_that_the_store_does_not_take_is_kept_and_booked_later() -> None:
    """Once, and in the order in which they came."""
    till = Till()
    till.ledger.down = {"settle", "release"}
    await till.settle(exchange(), attempt(**WORKED, usage=Usage(input=7)), await till.reserve(), 0.0)
    await till.settle(exchange(), attempt(**GONE), await till.reserve(), 0.0)
    assert till.settle.unsettled == 2
    await till.settle.book_kept()
    assert till.settle.unsettled == 2
    till.ledger.down = set()
    await till.settle.book_kept()
    await till.settle.book_kept()
    assert till.settle.unsettled == 0
    assert till.ledger.resolved == [("req_1", "settled"), ("req_2", "released")]
    assert (await till.spent())["tokens"] == (7, 0)


async def test_a_settlement_that_is_interrupted_is_kept() -> None:
    """It may have happened or not: repeating it is safe, since each id is booked once."""
    till = Till()
    hang = till.ledger.slow["settle"] = Hang()
    claim = await till.reserve()
    task = asyncio.ensure_future(till.settle(exchange(), attempt(**WORKED, usage=Usage(input=7)), claim, 0.0))
    await hang.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert till.settle.unsettled == 1
    till.ledger.slow.clear()
    await till.settle.book_kept()
    assert till.ledger.resolved == [("req_1", "settled")]


async def test_a_settlement_that_happened_and_is_repeated_changes_nothing() -> None:
    """As when its answer was lost."""
    till = Till()
    claim = await till.reserve()
    ended, one = exchange(), attempt(**WORKED, usage=Usage(input=7))
    await till.settle(ended, one, claim, 0.0)
    await till.settle(ended, one, claim, 0.0)
    assert (await till.spent())["tokens"] == (7, 0)


async def test_a_claim_of_which_nobody_knows_is_released_later() -> None:
    """Whether it was taken or not."""
    till = Till()
    till.settle.release_later(await till.reserve())
    assert till.settle.unsettled == 1
    await till.settle.book_kept()
    assert till.ledger.resolved == [("req_1", "released")]


async def test_a_settlement_whose_reservation_is_over_is_left_to_expire() -> None:
    """The worst case was charged; asking the store again would change nothing."""
    till = Till(life_seconds=60)
    till.ledger.down = {"settle"}
    await till.settle(exchange(), attempt(**WORKED, usage=Usage(input=7)), await till.reserve(), 0.0)
    till.ledger.down = set()
    till.clock.advance(60)
    await till.settle.book_kept()
    assert till.settle.unsettled == 0
    assert till.ledger.resolved == []
    await till.ledger.expire()
    assert (await till.spent())["tokens"] == (500, 0)


def asked(till: Till, times: int) -> bool:
    """Whether the store was asked to settle so often."""
    return till.ledger.asked["settle"] >= times


async def test_kept_settlements_are_booked_in_the_background() -> None:
    """As soon as the store answers again, for as long as the gateway runs."""
    till = Till()
    till.ledger.down = {"settle"}
    work = asyncio.ensure_future(till.settle.run())
    try:
        for _ in range(2):
            wanted = till.ledger.asked["settle"] + 3
            await till.settle(exchange(), attempt(**WORKED, usage=Usage(input=7)), await till.reserve(), 0.0)
            await eventually(partial(asked, till, wanted))
            till.ledger.down = set()
            await eventually(lambda: till.settle.unsettled == 0)
            till.ledger.down = {"settle"}
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work
    assert till.ledger.resolved == [("req_1", "settled"), ("req_2", "settled")]


async def test_the_next_process_books_what_one_could_not_once(tmp_path: Path) -> None:
    """Settled and released alike; also where a process between them ended before the store was back."""
    till = Till()
    till.restart(tmp_path)
    till.ledger.down = {"settle", "release"}
    await till.settle(exchange(), attempt(**WORKED, usage=Usage(input=7)), await till.reserve(), 0.0)
    await till.settle(exchange(), attempt(**GONE), await till.reserve(), 0.0)
    for _ in range(2):
        till.restart(tmp_path)
        await till.settle.book_kept()
        assert till.settle.unsettled == 2
    till.ledger.down = set()
    for _ in range(2):
        await till.settle.book_kept()
        till.restart(tmp_path)
    assert till.ledger.resolved == [("req_1", "settled"), ("req_2", "released")]
    assert (await till.spent())["tokens"] == (7, 0)


async def test_what_was_booked_before_its_process_could_note_it_is_not_booked_again(tmp_path: Path) -> None:
    """It was killed between the two, or the store's answer was lost."""
    till = Till()
    till.restart(tmp_path)
    till.ledger.down = {"settle"}
    claim = await till.reserve()
    await till.settle(exchange(), attempt(**WORKED, usage=Usage(input=7)), claim, 0.0)
    till.ledger.down = set()
    await till.ledger.settle(claim, [7, 7, 1])
    till.clock.advance(30)
    till.restart(tmp_path)
    await till.settle.book_kept()
    assert till.settle.unsettled == 0
    assert till.ledger.resolved == [("req_1", "settled")]


async def let_in(till: Till, tier: Tier) -> Claim:
    """An attempt that begins without the ledger, at a worst case of 500."""
    reserved = await till.reserve()
    await till.ledger.release(reserved)
    claim = Claim(
        id=f"{reserved.id}.open", slot=None, concerned=reserved.concerned, amounts=reserved.amounts, life_seconds=60,
        allowed=500,
    )  # fmt: skip
    assert till.settle.allowances.take(tier, 500)
    till.settle.let_in(tier, claim)
    return claim


async def test_what_was_let_in_without_the_ledger_and_never_ended_costs_its_worst_case(tmp_path: Path) -> None:
    """The process died meanwhile. Until that is booked it counts against the next one's allowance."""
    till, tier = Till(), token_tier(outage=Outage(policy="open", allowance_microdollars=600), slots=9)
    till.restart(tmp_path)
    running = await let_in(till, tier)
    assert running.id == "req_1.open"
    till.restart(tmp_path)
    assert not till.settle.allowances.take(tier, 500)
    await till.settle.book_kept()
    assert await till.spent() == {"money": (500, 0), "tokens": (500, 0), "calls": (1, 0)}
    assert till.settle.allowances.take(tier, 500)
    till.restart(tmp_path)
    assert till.settle.unsettled == 0


async def test_what_was_let_in_and_ended_costs_what_it_used(tmp_path: Path) -> None:
    """Nothing, where the endpoint did not work on it."""
    till, tier = Till(), token_tier(outage=Outage(policy="open", allowance_microdollars=1000), slots=9)
    till.restart(tmp_path)
    worked, failed = await let_in(till, tier), await let_in(till, tier)
    till.ledger.down = {"book"}
    await till.settle(exchange(), attempt(**WORKED, tier=tier, usage=Usage(input=7)), worked, 0.0)
    await till.settle(exchange(), attempt(**GONE, tier=tier), failed, 0.0)
    till.restart(tmp_path)
    assert till.settle.unsettled == 1
    till.ledger.down = set()
    await till.settle.book_kept()
    assert (await till.spent())["tokens"] == (7, 0)


async def test_what_nobody_could_book_for_a_day_is_given_up(tmp_path: Path) -> None:
    """The ledger may not know its id any more: it might be booked twice."""
    till, tier = Till(), token_tier(outage=Outage(policy="open", allowance_microdollars=1000), slots=9)
    till.restart(tmp_path)
    claim = await let_in(till, tier)
    till.ledger.down = {"book"}
    await till.settle(exchange(), attempt(**WORKED, tier=tier, usage=Usage(input=7)), claim, 0.0)
    till.clock.advance(LIFE_SECONDS_MAX)
    till.ledger.down = set()
    await till.settle.book_kept()
    assert till.settle.unsettled == 0
    assert (await till.spent())["tokens"] == (0, 0)
