"""Letting attempts start: slots, queues, and what is held."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.admit import POLL_SECONDS, Admission
from gateway.budget.ledger import AMOUNT_MAX, LIFE_SECONDS_MAX, Claim
from gateway.errors import BudgetExhausted, BudgetTooSmall, GatewayError, StoreUnavailable, TierSaturated
from gateway.exchange import Attempt, Caller
from gateway.wire.identity import Identity
from gateway.wire.operations import Operation
from gateway.wire.run_bounds import RunBounds
from tests.doubles.clock import ManualClock
from tests.doubles.ledger import FailingLedger
from tests.doubles.transport import Gate, Hang
from tests.gateway.samples import CHAT, EMBEDDINGS, budget, call, exchange, tier_map, token_tier
from tests.stores import eventually
from tiers.holds import Concern, Hold
from tiers.routing import Candidate
from tiers.tiermap import Budget, Queue, Tier, Timeouts
from tiers.windows import Window

LINE = "process-1"
PATIENT = Queue(length=10, wait_seconds=600)

PICTURE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://127.0.0.1/x.png"}}]}]


@dataclass(slots=True, kw_only=True)
class Gatekeeper:
    """An admission to one tier, and those who were let in."""

    clock: ManualClock
    ledger: FailingLedger
    admit: Admission
    tier: Tier
    abandoned: list[Claim]
    admitted: list[str] = field(default_factory=list)
    claims: dict[str, Claim] = field(default_factory=dict)

    async def enter(self, name: str, **fields: Any) -> Attempt:  # noqa: ANN401 - any of Exchange's fields
        """Ask for admission."""
        asked = exchange(request_id=name, **fields)
        attempt, claim = await self.admit(asked, Candidate(tier=self.tier, reason="tier"))
        self.admitted.append(name)
        self.claims[name] = claim
        return attempt

    async def leave(self, name: str) -> None:
        """Give the slot back, as another process would: nobody here is told."""
        await self.ledger.release(self.claims[name])

    def begin(self, name: str) -> "asyncio.Task[Attempt]":
        """Ask for admission in the background."""
        return asyncio.get_running_loop().create_task(self.enter(name))

    async def queue(self, name: str) -> "asyncio.Task[Attempt]":
        """Ask for admission and wait until it is in the queue."""
        before = self.admit.queue_lengths()[self.tier.name]
        task = self.begin(name)
        await eventually(lambda: self.admit.queue_lengths()[self.tier.name] > before)
        return task


def gatekeeper(*budgets: Budget, **fields: Any) -> Gatekeeper:  # noqa: ANN401 - any of Tier's fields
    """An admission to a tier with one slot."""
    tier = token_tier(**{"slots": 1, "queue": PATIENT, **fields})
    clock = ManualClock()
    ledger = FailingLedger(clock.unix)
    abandoned: list[Claim] = []
    admit = Admission(
        ledger=ledger, clock=clock, budgets=budgets, tiers=tier_map(tier).tiers, abandon=abandoned.append, line=LINE
    )
    return Gatekeeper(clock=clock, ledger=ledger, admit=admit, tier=tier, abandoned=abandoned)


async def test_a_free_slot_is_taken_without_a_wait() -> None:
    """The attempt is on the exchange, and its claim is the request's."""
    keeper = gatekeeper()
    asked = exchange()
    attempt, claim = await keeper.admit(asked, Candidate(tier=keeper.tier, reason="alias"))
    assert asked.attempts == [attempt]
    assert (attempt.reason, attempt.queued_seconds, attempt.admitted_at) == ("alias", 0.0, 1000.0)
    assert (claim.id, claim.holds) == ("req_1", ())
    assert await keeper.ledger.slots_held(["routing"]) == {"routing": 1}


async def test_a_slot_that_was_given_back_before_anybody_waited_for_it_is_asked_for_at_once() -> None:
    """It may have come while the ledger's refusal was on its way. Only then is the next one waited for."""
    keeper = gatekeeper()
    await keeper.enter("a")
    keeper.admit.freed(keeper.tier)
    slot = keeper.admit._slots["routing"]
    assert slot.freed_since
    waiting = await keeper.queue("b")
    await eventually(lambda: not slot.freed_since)
    await keeper.leave("a")
    keeper.admit.freed(keeper.tier)
    await waiting
    assert keeper.admitted == ["a", "b"]


async def test_who_has_its_slot_does_not_stand_in_line_behind_who_came_to_wait_meanwhile() -> None:
    """It would wait for itself: nobody could go on until the first gives up."""
    keeper = gatekeeper()
    keeper.ledger.unanswered = answer = Gate()
    first = keeper.begin("a")
    await answer.reached.wait()
    keeper.ledger.unanswered = None
    second = await keeper.queue("b")
    answer.opened.set()
    attempt = await asyncio.wait_for(first, 5)
    assert attempt.queued_seconds == 0.0
    await keeper.leave("a")
    await second
    assert keeper.admitted == ["a", "b"]


async def test_each_attempt_of_a_request_has_a_claim_of_its_own() -> None:
    """The ledger books each id once."""
    keeper = gatekeeper(slots=3)
    asked = exchange()
    ids = [(await keeper.admit(asked, Candidate(tier=keeper.tier, reason="tier")))[1].id for _ in range(3)]
    assert ids == ["req_1", "req_1.2", "req_1.3"]


@pytest.mark.parametrize(
    ("total", "wait", "life"), [(60.0, 30.0, 105.0), (86_400.0, 600.0, LIFE_SECONDS_MAX), (1e9, 0.0, LIFE_SECONDS_MAX)]
)
async def test_a_reservation_outlives_its_request(total: float, wait: float, life: float) -> None:
    """By the time it takes to settle; but not what any ledger keeps."""
    keeper = gatekeeper(timeouts=Timeouts(total=total), queue=Queue(wait_seconds=wait))
    await keeper.enter("a")
    assert keeper.claims["a"].life_seconds == life


async def holds(**fields: Any) -> list[tuple[str, str, int]]:  # noqa: ANN401 - any of Exchange's fields
    """Budget, owner and amount of what a request holds on four budgets; the tier's output is 100, its context 1000."""
    budgets = (
        budget(name="money"),
        budget(name="tokens", unit="tokens", kind="agent"),
        budget(name="calls", unit="requests", kind="run"),
        budget(name="other", kind="tier", pattern="reasoning"),
    )
    keeper = gatekeeper(*budgets, context=1000, output=100)
    await keeper.enter("a", **fields)
    return [(hold.concern.budget, hold.concern.owner, hold.amount) for hold in keeper.claims["a"].holds]


async def test_the_worst_case_is_held_on_every_budget_concerned() -> None:
    """A token per byte of the body, the whole answer, at the tier's price; for whom the caller says it is."""
    who = Identity(agent="writer", run="r1")
    size = len(call().body)
    assert await holds(identity=who) == [
        ("money", "*", size + 2 * 100),
        ("tokens", "writer", size + 100),
        ("calls", "r1", 1),
    ]
    assert await holds() == [("money", "*", size + 200)]


async def test_what_is_kept_of_a_caller_is_of_one_tier_one_identity_and_one_tier_map() -> None:
    """The same caller comes from elsewhere, goes elsewhere, or meets a map with other budgets."""
    caller = Caller(name="demo")
    first, other = gatekeeper(budget(kind="agent"), slots=9), gatekeeper(budget(name="new", kind="tier"), slots=9)
    owners = []
    for number, (keeper, agent) in enumerate(
        [(first, "writer"), (first, "writer"), (first, "critic"), (other, "critic"), (first, "critic")]
    ):
        await keeper.enter(str(number), caller=caller, identity=Identity(agent=agent))
        owners.append([(hold.concern.budget, hold.concern.owner) for hold in keeper.claims[str(number)].holds])
    writer, critic = [("money", "writer")], [("money", "critic")]
    assert owners == [writer, writer, critic, [("new", "routing")], critic]


@pytest.mark.parametrize("budgets", [(), (budget(kind="run"),)], ids=["no-budgets", "a-budget"])
async def test_a_run_is_held_to_the_budgets_that_it_brings(budgets: tuple[Budget, ...]) -> None:
    """Beside the tier map's, before them, and only where it is named with them; other bounds are other budgets."""
    keeper, caller = gatekeeper(*budgets, slots=9), Caller(name="demo")
    mapped = [(one.name, one.limit) for one in budgets]

    async def bounds_of(name: str, **bounds: int) -> list[tuple[str, int]]:
        who = Identity(run="r1", bounds=RunBounds(**bounds) if bounds else None)
        await keeper.enter(name, caller=caller, identity=who)
        return [(hold.concern.budget, hold.concern.limit) for hold in keeper.claims[name].holds]

    assert await bounds_of("1", calls=2) == [("x-tiergate-run-max-calls", 2), *mapped]
    assert await bounds_of("2") == mapped
    assert await bounds_of("3", calls=3) == [("x-tiergate-run-max-calls", 3), *mapped]
    assert await bounds_of("4", microdollars=9**9) == [("x-tiergate-run-max-usd", 9**9), *mapped]
    with pytest.raises(BudgetExhausted, match="0 requests left of 2 requests for the whole run"):
        await bounds_of("5", calls=2)


@pytest.mark.parametrize(
    ("fields", "answers"),
    [
        ({"max_tokens": 7}, 7),
        ({"max_tokens": 5000}, 1000),
        ({"max_tokens": 0}, 1000),
        ({"n": 3}, 300),
        ({"user": "x" * 900}, 1000),
    ],
    ids=str,
)
async def test_the_callers_own_bounds_make_it_smaller_or_larger(fields: dict[str, Any], answers: int) -> None:
    """Shorter answers, several, or one that only the context bounds since the tier's output does not fit."""
    asked = call(**fields)
    assert await holds(call=asked) == [("money", "*", min(1000, len(asked.body)) + 2 * answers)]


async def test_a_prompt_with_images_may_fill_the_context() -> None:
    """Its size does not bound its tokens."""
    assert await holds(call=call(messages=PICTURE)) == [("money", "*", 1000 + 2 * 1000)]


async def test_what_generates_nothing_holds_its_prompt_alone() -> None:
    """Embeddings, say."""
    assert await holds(operation=EMBEDDINGS) == [("money", "*", len(call().body))]


@pytest.mark.parametrize(
    ("fields", "operation", "bound"),
    [
        ({}, CHAT, 100),
        ({"max_tokens": 7}, CHAT, None),
        ({"max_tokens": 0}, CHAT, None),
        ({"user": "x" * 900}, CHAT, None),
        ({"messages": PICTURE}, CHAT, None),
        ({}, EMBEDDINGS, None),
    ],
    ids=str,
)
async def test_an_answer_is_bounded_where_the_caller_set_no_bound_and_there_is_room(
    fields: dict[str, Any], operation: Operation, bound: int | None
) -> None:
    """By the tier's output."""
    keeper = gatekeeper(context=1000, output=100)
    attempt = await keeper.enter("a", call=call(operation=operation, **fields), operation=operation)
    assert attempt.answer_bound == bound


async def test_without_budgets_nothing_is_held() -> None:
    """The slot alone is claimed. Nor is anything held for a request of which nothing is known."""
    keeper = gatekeeper()
    await keeper.enter("a")
    assert keeper.claims["a"].holds == ()
    assert await holds(call=None) == await holds(caller=None) == []


async def test_a_request_for_more_answers_than_a_ledger_can_count_is_refused() -> None:
    """As one that is above the whole budget, not as a defect."""
    keeper = gatekeeper(budget())
    with pytest.raises(BudgetTooSmall):
        await keeper.enter("a", call=call(n=10**18))
    keeper = gatekeeper(budget(AMOUNT_MAX))
    await keeper.enter("a", call=call(n=10**18))
    assert keeper.claims["a"].holds[0].amount == AMOUNT_MAX


async def test_a_spent_budget_says_whose_it_is_what_is_left_and_until_when() -> None:
    """And when to come back."""
    keeper = gatekeeper(budget(300, kind="agent"), slots=9)
    await keeper.enter("a", identity=Identity(agent="writer"))
    with pytest.raises(BudgetExhausted) as caught:
        await keeper.enter("b", identity=Identity(agent="writer"))
    assert not isinstance(caught.value, BudgetTooSmall)
    assert "'money' of writer" in caught.value.message
    assert "left of 0.0003 USD" in caught.value.message
    assert caught.value.retry_after_seconds == pytest.approx(2 * 10**9 - 1_800_000_000)
    assert caught.value.retry is False


async def test_a_budget_of_everybody_is_nobodys() -> None:
    """Its owner has a name all the same: the pattern."""
    keeper = gatekeeper(budget(1))
    with pytest.raises(BudgetTooSmall, match="the whole budget 'money' of"):
        await keeper.enter("a")


async def test_the_slots_of_a_tier_are_never_lent_twice() -> None:
    """The second one waits until the first is back."""
    keeper = gatekeeper()
    await keeper.enter("a")
    task = await keeper.queue("b")
    assert keeper.admitted == ["a"]
    keeper.clock.advance(2.5)
    await keeper.leave("a")
    keeper.admit.freed(keeper.tier)
    attempt = await task
    assert attempt.queued_seconds == 2.5
    assert attempt.admitted_at == 1002.5
    assert keeper.admit.queue_lengths() == {"routing": 0}


async def test_those_who_wait_are_let_in_as_they_came() -> None:
    """First come, first served, one slot after the other."""
    keeper = gatekeeper()
    await keeper.enter("a")
    tasks = [await keeper.queue(name) for name in "bcde"]
    for name, task in zip("abcd", tasks, strict=True):
        await keeper.leave(name)
        keeper.admit.freed(keeper.tier)
        await task
    assert keeper.admitted == list("abcde")


async def test_a_newcomer_does_not_overtake() -> None:
    """Also when a slot is free at that moment: those who wait go first."""
    keeper = gatekeeper()
    await keeper.enter("a")
    waiting = await keeper.queue("b")
    await keeper.leave("a")
    newcomer = keeper.begin("c")
    await waiting
    assert keeper.admitted == ["a", "b"]
    await keeper.leave("b")
    await newcomer


async def test_only_the_first_in_the_queue_asks_the_ledger() -> None:
    """A long queue does not make a busy store busier."""
    keeper = gatekeeper()
    await keeper.enter("a")
    tasks = [await keeper.queue(name) for name in "bcdefgh"]
    before = keeper.ledger.asked["reserve"]
    keeper.admit.freed(keeper.tier)
    await eventually(lambda: keeper.ledger.asked["reserve"] > before)
    assert keeper.ledger.asked["reserve"] == before + 1
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_only_who_stands_first_in_line_asks_in_the_name_of_its_process() -> None:
    """Who has just come stands in none yet: between processes it goes after those who do."""
    keeper = gatekeeper()
    await keeper.enter("a")
    task = await keeper.queue("b")
    await eventually(lambda: LINE in keeper.ledger.lines)
    await keeper.leave("a")
    keeper.admit.freed(keeper.tier)
    await task
    assert keeper.ledger.lines[:2] == ["", ""]
    assert set(keeper.ledger.lines[2:]) == {LINE}


async def test_a_slot_given_back_here_wakes_the_first_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without waiting for the next look at the store."""
    monkeypatch.setattr("gateway.admit.POLL_SECONDS", 600.0)
    keeper = gatekeeper()
    await keeper.enter("a")
    task = await keeper.queue("b")
    await keeper.leave("a")
    keeper.admit.freed(keeper.tier)
    async with asyncio.timeout(10):
        await task


async def test_a_slot_given_back_by_another_process_is_found_soon() -> None:
    """Nobody tells this one."""
    keeper = gatekeeper()
    await keeper.enter("a")
    task = await keeper.queue("b")
    await keeper.leave("a")
    async with asyncio.timeout(POLL_SECONDS * 20):
        await task


async def test_a_queue_is_bounded_in_length() -> None:
    """One more is refused at once, with a time to come back."""
    keeper = gatekeeper(queue=Queue(length=2, wait_seconds=600))
    await keeper.enter("a")
    tasks = [await keeper.queue(name) for name in "bc"]
    with pytest.raises(TierSaturated, match=r"its queue is full \(2 requests\)") as caught:
        await keeper.enter("d")
    assert caught.value.retry_after_seconds == 5
    assert keeper.admit.queue_lengths() == {"routing": 2}
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert keeper.admit.queue_lengths() == {"routing": 0}


async def test_a_queue_is_bounded_in_time() -> None:
    """After it the request is refused, and the next in the queue goes on."""
    keeper = gatekeeper(queue=Queue(length=5, wait_seconds=0.02))
    await keeper.enter("a")
    tasks = [await keeper.queue("b"), keeper.begin("c")]
    for task in tasks:
        with pytest.raises(TierSaturated, match=r"stayed taken for 0\.02 seconds"):
            await task
    assert keeper.admit.queue_lengths() == {"routing": 0}
    await keeper.leave("a")
    await keeper.enter("d")


async def test_who_has_waited_for_a_worker_waits_for_a_slot_up_to_its_deadline() -> None:
    """However short the queue: another process's calls may have taken the slots of the worker that woke up."""
    keeper = gatekeeper(queue=Queue(length=0, wait_seconds=0))
    await keeper.enter("first")
    held = keeper.enter("held", due=keeper.clock.monotonic() + 60, held_seconds=30.0)
    task = asyncio.get_running_loop().create_task(held)
    await eventually(lambda: keeper.admit.queue_lengths()["routing"] == 1)
    await keeper.leave("first")
    await task
    assert keeper.admitted == ["first", "held"]
    with pytest.raises(TierSaturated, match="stayed taken"):
        await keeper.enter("late", due=keeper.clock.monotonic() + 0.02, held_seconds=30.0)


async def test_a_request_that_waited_in_vain_has_its_wait_on_record() -> None:
    """The attempt says how long it was, and that it was never admitted."""
    keeper = gatekeeper(queue=Queue(length=5, wait_seconds=0.02))
    await keeper.enter("a")
    asked = exchange(request_id="b")
    task = asyncio.ensure_future(keeper.admit(asked, Candidate(tier=keeper.tier, reason="tier")))
    await eventually(lambda: keeper.admit.queue_lengths()["routing"] == 1)
    keeper.clock.advance(3)
    with pytest.raises(TierSaturated):
        await task
    [attempt] = asked.attempts
    assert (attempt.queued_seconds, attempt.admitted_at, attempt.endpoint_name) == (3, None, "")


async def test_a_budget_that_is_spent_while_a_request_waits_ends_its_wait() -> None:
    """It would be refused anyhow."""
    keeper = gatekeeper(budget(600))
    await keeper.enter("a")
    task = await keeper.queue("b")
    await keeper.ledger.settle(keeper.claims["a"], [440])
    keeper.admit.freed(keeper.tier)
    with pytest.raises(BudgetExhausted):
        await task


@pytest.mark.parametrize("place", ["entrance", "queue"])
async def test_a_claim_of_which_nobody_knows_is_abandoned(place: str) -> None:
    """Cancelled, or the store fell silent: the reservation may exist, so it is handed over to be released."""
    keeper = gatekeeper()
    if place == "queue":
        await keeper.enter("a")
    gate = Gate()
    keeper.ledger.slow["reserve"] = gate
    task = keeper.begin("b")
    await gate.reached.wait()
    if place == "queue":
        keeper.ledger.slow["reserve"] = Hang()
        gate.opened.set()
        await keeper.ledger.slow["reserve"].reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [claim.id for claim in keeper.abandoned] == ["b"]
    assert keeper.admit.queue_lengths() == {"routing": 0}


async def test_a_store_that_fails_during_a_wait_is_told() -> None:
    """As 503, and the claim is abandoned."""
    keeper = gatekeeper()
    await keeper.enter("a")
    task = await keeper.queue("b")
    keeper.ledger.down = {"reserve"}
    with pytest.raises(StoreUnavailable):
        await task
    assert [claim.id for claim in keeper.abandoned] == ["b"]


async def test_refusals_leave_no_claim_behind() -> None:
    """There is nothing to release."""
    keeper = gatekeeper(budget(1))
    with pytest.raises(GatewayError):
        await keeper.enter("a")
    assert keeper.abandoned == []


async def test_a_hold_names_everything_that_the_ledger_needs() -> None:
    """Its window and limit come from the tier map."""
    keeper = gatekeeper(budget(500, name="money"))
    asked = call(max_tokens=1)
    await keeper.enter("a", call=asked)
    assert keeper.claims["a"].holds == (
        Hold(
            Concern(budget="money", owner="*", unit="USD", limit=500, window=Window(seconds=10**9)),
            amount=len(asked.body) + 2,
        ),
    )
