"""Letting attempts start where limits of their owners bound them, and agents take turns."""

import asyncio
from typing import Any

import pytest

from gateway.admit import Admission
from gateway.errors import BudgetExhausted, ConcurrencyLimited, RateLimited, TierSaturated
from gateway.exchange import Caller, Exchange
from gateway.wire.identity import Identity
from tests.doubles.clock import ManualClock
from tests.doubles.ledger import FailingLedger
from tests.gateway.samples import budget, exchange, tier_map, token_tier
from tests.stores import eventually
from tiers.routing import Candidate
from tiers.tiermap import Budget, Concurrency, Owner, Queue
from tiers.windows import Window

MINUTE = Window(kind="rolling", seconds=60)


class Gatekeeper:
    """An admission to one tier, and who was let in, in order."""

    def __init__(
        self,
        *budgets: Budget,
        concurrency: tuple[Concurrency, ...] = (),
        **fields: Any,  # noqa: ANN401 - any of Tier's fields
    ) -> None:
        self.tier = token_tier(**{"slots": 10, "queue": Queue(length=10, wait_seconds=600), **fields})
        self.clock = ManualClock()
        self.ledger = FailingLedger(self.clock.unix)
        self.live: dict[str, Any] = {}
        self.admitted: list[str] = []
        self.exchanges: dict[str, Exchange] = {}
        self.admit = Admission(
            ledger=self.ledger,
            clock=self.clock,
            budgets=budgets,
            tiers=tier_map(self.tier).tiers,
            abandon=lambda _: None,
            concurrency=concurrency,
            live=self.live,
        )

    async def enter(self, name: str, agent: str = "", *, caller: Caller | None = None, priority: int = 0) -> None:
        """Ask for admission."""
        asked = exchange(request_id=name, caller=caller or Caller(name="demo"), identity=Identity(agent=agent))
        candidate = Candidate(tier=self.tier, reason="tier", priority=priority)
        asked.candidates = (candidate,)
        self.exchanges[name] = asked
        await self.admit(asked, candidate)
        self.admitted.append(name)

    async def queue(self, name: str, agent: str = "", **fields: Any) -> "asyncio.Task[None]":  # noqa: ANN401 - enter's
        """Ask for admission, and wait until it waits."""
        before = self.admit.queue_lengths()["routing"]
        task = asyncio.get_running_loop().create_task(self.enter(name, agent, **fields))
        await eventually(lambda: self.admit.queue_lengths()["routing"] > before)
        return task

    async def leave(self, name: str) -> None:
        """Give back everything."""
        await self.ledger.release(self.live.pop(name))
        self.admit.freed(self.tier)


def limit(slots: int, *, kind: str = "agent", pattern: str = "*") -> Concurrency:
    return Concurrency(name="at once", owner=Owner(kind=kind, pattern=pattern), slots=slots)


def rate(count: int, unit: str = "requests") -> Budget:
    return Budget(
        name="pace", owner=Owner(kind="agent", pattern="*"), unit=unit, limit=count, window=MINUTE, spent="reject",
        rate=True,
    )  # fmt: skip


async def test_agents_take_turns_however_many_requests_one_of_them_has_waiting() -> None:
    keeper = Gatekeeper(slots=1)
    await keeper.enter("first", "noisy")
    waiting = [await keeper.queue(f"noisy-{number}", "noisy") for number in range(3)]
    waiting.append(await keeper.queue("quiet", "quiet"))
    for name in ["first", "noisy-0", "quiet", "noisy-1"]:
        count = len(keeper.admitted)
        await keeper.leave(name)
        await eventually(lambda count=count: len(keeper.admitted) > count)  # type: ignore[misc]
    await asyncio.gather(*waiting)
    assert keeper.admitted == ["first", "noisy-0", "quiet", "noisy-1", "noisy-2"]
    assert keeper.admit.queue_lengths() == {"routing": 0}


async def test_a_route_of_a_higher_priority_goes_first() -> None:
    keeper = Gatekeeper(slots=1)
    await keeper.enter("first")
    usual = await keeper.queue("usual", "a")
    urgent = await keeper.queue("urgent", "b", priority=5)
    await keeper.leave("first")
    await urgent
    assert not usual.done()
    await keeper.leave("urgent")
    await usual


async def test_a_flood_cannot_fill_the_queue() -> None:
    """The newest of the agent that has most waiting makes room; where nobody has more, the newcomer is refused."""
    keeper = Gatekeeper(slots=1, queue=Queue(length=2, wait_seconds=600))
    await keeper.enter("first", "noisy")
    stays, goes = await keeper.queue("stays", "noisy"), await keeper.queue("goes", "noisy")
    quiet = asyncio.get_running_loop().create_task(keeper.enter("quiet", "quiet"))
    with pytest.raises(TierSaturated, match="most requests in it"):
        await goes
    with pytest.raises(TierSaturated, match="its queue is full"):
        await keeper.enter("third", "third")
    await keeper.leave("first")
    await stays
    await keeper.leave("stays")
    await quiet
    assert keeper.admit.queue_lengths() == {"routing": 0}


async def test_an_owner_has_no_more_under_way_than_its_limit_allows() -> None:
    """Each owner by itself; whoever waits for it gets in as soon as one ends."""
    keeper = Gatekeeper(concurrency=(limit(2),))
    await keeper.enter("a1", "a")
    await keeper.enter("a2", "a")
    third = await keeper.queue("a3", "a")
    await keeper.enter("b1", "b")
    assert keeper.admitted == ["a1", "a2", "b1"]
    await keeper.leave("a1")
    await third


async def test_who_waits_for_its_own_limit_keeps_nobody_behind_it_waiting() -> None:
    """Of the tier's slots, which are free or become so."""
    keeper = Gatekeeper(slots=2, concurrency=(limit(1, pattern="a"),))
    await keeper.enter("a1", "a")
    blocked = await keeper.queue("a2", "a")
    await keeper.enter("b1", "b")
    second = await keeper.queue("b2", "b")
    await keeper.leave("b1")
    await second
    assert not blocked.done()
    await keeper.leave("a1")
    await blocked
    assert keeper.admit.queue_lengths() == {"routing": 0}


async def test_a_concurrency_limit_says_whose_it_is_when_the_wait_was_in_vain() -> None:
    keeper = Gatekeeper(concurrency=(limit(1),), queue=Queue(length=5, wait_seconds=0.05))
    await keeper.enter("a1", "a")
    with pytest.raises(
        ConcurrencyLimited, match="a has 1 requests under way, as many as the limit 'at once'"
    ) as caught:
        await keeper.enter("a2", "a")
    assert caught.value.retry_after_seconds is not None
    assert keeper.exchanges["a2"].refused_by == "at once"
    assert keeper.admit.queue_lengths() == {"routing": 0}


async def test_limits_of_a_key_are_its_own() -> None:
    """Beside those of the tier map, and others once the key is given others."""
    keeper = Gatekeeper(queue=Queue(length=5, wait_seconds=0.02))
    owner = Owner(kind="key", pattern="team-a")
    one = Caller(name="team-a", concurrency=(Concurrency(name="own", owner=owner, slots=1),))
    await keeper.enter("k1", caller=one)
    with pytest.raises(ConcurrencyLimited):
        await keeper.enter("k2", caller=one)
    await keeper.enter("k3", caller=Caller(name="team-a", concurrency=(Concurrency(name="own", owner=owner, slots=2),)))
    spent = Caller(name="team-a", budgets=(budget(1, name="small", kind="key"),))
    with pytest.raises(BudgetExhausted):
        await keeper.enter("k4", caller=spent)
    assert keeper.exchanges["k4"].refused_by == "small"


async def test_a_request_beyond_the_pace_is_told_when_to_come_again() -> None:
    """With OpenAI's headers, as 503: CrewAI turns a 429 into 27 requests."""
    keeper = Gatekeeper(rate(2), queue=Queue(length=5, wait_seconds=30))
    await keeper.enter("a1", "a")
    await keeper.enter("a2", "a")
    with pytest.raises(RateLimited, match=r"'pace' of a allows 2 requests per 1 min and has 0 requests left") as caught:
        await keeper.enter("a3", "a")
    headers = dict(caught.value.headers)
    assert headers[b"x-ratelimit-limit-requests"] == b"2"
    assert headers[b"x-ratelimit-remaining-requests"] == b"0"
    assert headers[b"x-ratelimit-reset-requests"] in {b"1m0s", b"60s", b"1m1s"}
    assert caught.value.retry_after_seconds is not None
    assert 0 < caught.value.retry_after_seconds <= 120
    assert keeper.exchanges["a3"].refused_by == "pace"
    await keeper.enter("b1", "b")


async def test_a_request_that_the_pace_allows_soon_waits() -> None:
    keeper = Gatekeeper(rate(1), queue=Queue(length=5, wait_seconds=600))
    await keeper.enter("a1", "a")
    waiting = await keeper.queue("a2", "a")
    keeper.clock.advance(62)
    await asyncio.wait_for(waiting, 5)


async def test_a_request_that_never_fits_the_pace_is_not_sent_to_wait() -> None:
    keeper = Gatekeeper(rate(5, "tokens"))
    with pytest.raises(RateLimited, match="It never fits") as caught:
        await keeper.enter("a1", "a")
    assert caught.value.retry_after_seconds is None


@pytest.mark.parametrize(("spent", "cheaper"), [("downgrade", True), ("reject", False)])
async def test_a_budget_says_whether_a_cheaper_tier_may_serve(spent: Any, cheaper: bool) -> None:  # noqa: ANN401 - a literal
    keeper = Gatekeeper(
        Budget(
            name="money",
            owner=Owner(kind="all", pattern="*"),
            unit="USD",
            limit=1,
            window=Window(seconds=60),
            spent=spent,
        )
    )
    with pytest.raises(BudgetExhausted) as caught:
        await keeper.enter("a")
    assert caught.value.cheaper is cheaper


async def test_a_budget_that_only_reports_refuses_nobody() -> None:
    """Who was served beyond it is told of in the record."""
    keeper = Gatekeeper(
        Budget(
            name="trial",
            owner=Owner(kind="all", pattern="*"),
            unit="requests",
            limit=1,
            window=Window(seconds=10**9),
            spent="shadow",
        )
    )
    await keeper.enter("a")
    await keeper.enter("b")
    assert (keeper.exchanges["a"].shadowed, keeper.exchanges["b"].shadowed) == ((), ("trial",))


async def test_gpu_seconds_are_held_where_they_are_what_a_tier_is_paid_by() -> None:
    """A tier that is paid by the token has none."""
    budgets = (budget(10**15, name="gpu", unit="GPU seconds"),)
    keeper = Gatekeeper(*budgets)
    await keeper.enter("a")
    assert keeper.live["a"].amounts == [0]
