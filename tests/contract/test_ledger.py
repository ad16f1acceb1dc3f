"""What every ledger promises; the same tests for each."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from gateway.budget.ledger import AMOUNT_MAX, Claim, Ledger, NoBudget, NoSlot, Reserved
from tests.contract.ledgers import Subject, budget_of, claim, hold

pytestmark = pytest.mark.integration

Ending = Callable[[Ledger, Claim], Awaitable[bool]]


async def settle(ledger: Ledger, one: Claim) -> bool:
    return await ledger.settle(one, [held.amount for held in one.holds])


async def release(ledger: Ledger, one: Claim) -> bool:
    return await ledger.release(one)


async def expire(ledger: Ledger, one: Claim) -> bool:
    del one
    return await ledger.expire() == 1


async def test_a_budget_for_five_lets_five_of_a_hundred_concurrent_callers_pass(subject: Subject) -> None:
    """Also when they come through two ledgers on one store."""
    answers = await asyncio.gather(
        *((subject.ledger, subject.other)[i % 2].reserve(claim(f"r{i}", hold())) for i in range(100))
    )
    assert Counter(type(answer) for answer in answers) == {Reserved: 5, NoBudget: 95}
    assert await subject.sums() == (0, 5)


async def test_a_tier_with_three_slots_never_lends_a_fourth(subject: Subject) -> None:
    """Whoever asks through whichever process."""
    answers = await asyncio.gather(
        *((subject.ledger, subject.other)[i % 2].reserve(claim(f"r{i}", slots=3)) for i in range(20))
    )
    assert Counter(type(answer) for answer in answers) == {Reserved: 3, NoSlot: 17}
    assert {answer.held for answer in answers if isinstance(answer, NoSlot)} == {3}
    assert await subject.other.slots_held(["routing", "reasoning"]) == {"routing": 3, "reasoning": 0}
    assert await subject.ledger.slots_held([]) == {}


async def test_one_hold_that_does_not_fit_takes_nothing_at_all(subject: Subject) -> None:
    """Neither the slot nor the holds beside it; the refusal names the first hold that does not fit."""
    daily, team, monthly = hold(2), hold(9, budget="team", limit=8), hold(9, budget="monthly", limit=7)
    answer = await subject.ledger.reserve(claim("r", daily, team, monthly, slots=1))
    assert isinstance(answer, NoBudget)
    assert answer.hold == team
    assert answer.available == 8
    assert 0 < answer.window_ends_in_seconds <= team.concern.window.seconds
    assert await subject.ledger.balances([budget_of(), budget_of("team"), budget_of("monthly")]) == []
    assert await subject.ledger.slots_held(["routing"]) == {"routing": 0}


async def test_a_refusal_leaves_balances_and_slots_as_they_were(subject: Subject) -> None:
    """However often it is repeated."""
    assert await subject.ledger.reserve(claim("first", hold(3), slots=1)) == Reserved()
    for i in range(3):
        refused = await subject.ledger.reserve(claim(f"no{i}", hold(3), slots=9))
        assert isinstance(refused, NoBudget)
        assert refused.available == 2
        full = await subject.ledger.reserve(claim(f"full{i}", hold(1), slots=1))
        assert isinstance(full, NoSlot)
        assert (full.held, full.slot.name) == (1, "routing")
        assert not await subject.ledger.release(claim(f"no{i}", hold(3)))
    assert await subject.sums() == (0, 3)
    assert await subject.ledger.slots_held(["routing"]) == {"routing": 1}


async def test_a_spent_budget_is_told_before_a_missing_slot(subject: Subject) -> None:
    """A request that could never run must not wait in a queue first."""
    assert await subject.ledger.reserve(claim("first", hold(5), slots=1)) == Reserved()
    assert isinstance(await subject.ledger.reserve(claim("second", hold(1), slots=1)), NoBudget)


async def test_two_holds_on_one_balance_count_together(subject: Subject) -> None:
    """Each alone would fit."""
    answer = await subject.ledger.reserve(claim("r", hold(3), hold(3)))
    assert isinstance(answer, NoBudget)
    assert answer.available == 2
    assert await subject.ledger.reserve(claim("s", hold(3), hold(2))) == Reserved()
    assert await subject.sums() == (0, 5)
    assert await subject.ledger.settle(claim("s", hold(3), hold(2)), [1, 1])
    assert await subject.sums() == (2, 0)


async def test_an_amount_of_zero_holds_nothing_and_still_settles(subject: Subject) -> None:
    """As for a model without a price in one of the units."""
    free = claim("r", hold(0))
    assert await subject.ledger.reserve(free) == Reserved()
    assert await subject.sums() == (0, 0)
    assert await subject.ledger.settle(free, [2])
    assert await subject.sums() == (2, 0)


async def test_a_repeated_reserve_answers_reserved_and_takes_once(subject: Subject) -> None:
    """A caller whose connection broke cannot know whether the first one arrived."""
    one = claim("r", hold(3), slots=2)
    assert await subject.ledger.reserve(one) == Reserved()
    assert await subject.other.reserve(one) == Reserved()
    assert await subject.sums() == (0, 3)
    assert await subject.ledger.slots_held(["routing"]) == {"routing": 1}


async def test_a_reserve_that_arrives_after_its_end_takes_nothing(subject: Subject) -> None:
    """A copy that was delayed on the wire must not hold money that nobody will settle."""
    one = claim("r", hold(3), slots=2)
    assert await subject.ledger.reserve(one) == Reserved()
    assert await subject.ledger.release(one)
    assert await subject.ledger.reserve(one) == Reserved()
    assert await subject.sums() == (0, 0)
    assert await subject.ledger.slots_held(["routing"]) == {"routing": 0}


async def test_a_reserve_that_arrives_after_its_release_takes_nothing(subject: Subject) -> None:
    """Whoever gave up on a reserve releases it, and the two may arrive in the other order."""
    late = claim("late", hold(), slots=1)
    assert not await subject.other.release(late)
    await subject.ledger.reserve(late)
    assert await subject.sums() == (0, 0)
    assert await subject.ledger.slots_held(["routing"]) == {"routing": 0}


@pytest.mark.parametrize("then", [settle, release])
@pytest.mark.parametrize("first", [settle, release, expire])
async def test_a_reservation_ends_once(subject: Subject, first: Ending, then: Ending) -> None:
    """Whatever comes second answers False and books nothing; the slot is free after any ending."""
    life = 0.03 if first is expire else 60.0
    one = claim("r", hold(3), hold(4, budget="team", limit=9), slots=1, life=life)
    assert await subject.ledger.reserve(one) == Reserved()
    if first is expire:
        await subject.pass_time(0.04)
    assert await first(subject.ledger, one)
    after = (await subject.sums(), await subject.sums("team"))
    assert after == (((0, 0), (0, 0)) if first is release else ((3, 0), (4, 0)))
    assert not await then(subject.other, one)
    assert await subject.ledger.expire() == 0
    assert (await subject.sums(), await subject.sums("team")) == after
    assert await subject.ledger.slots_held(["routing"]) == {"routing": 0}
    assert await subject.ledger.reserve(claim("next", slots=1)) == Reserved()


async def test_ends_that_race_book_once(subject: Subject) -> None:
    """Ten settlements through two processes: one of them did it."""
    one = claim("r", hold(5))
    assert await subject.ledger.reserve(one) == Reserved()
    done = await asyncio.gather(
        *((subject.ledger, subject.other)[i % 2].settle(one, [2]) for i in range(10)),
        subject.ledger.release(one),
    )
    assert sum(done) == 1
    assert await subject.sums() == (2, 0)


@pytest.mark.parametrize("cost", [0, 2, 3, 9])
async def test_settling_books_the_cost_and_gives_back_the_rest(subject: Subject, cost: int) -> None:
    """Less than was held, as much, or more: the ledger never knows less than was spent."""
    one = claim("r", hold(3))
    assert await subject.ledger.reserve(one) == Reserved()
    assert await subject.ledger.settle(one, [cost])
    balance = await subject.balance()
    assert (balance.settled, balance.held, balance.limit, balance.available) == (cost, 0, 5, 5 - cost)
    answer = await subject.ledger.reserve(claim("all the rest", hold(max(0, 5 - cost) + 1)))
    assert isinstance(answer, NoBudget)
    assert answer.available == 5 - cost


async def test_amounts_that_cannot_settle_a_claim_are_refused(subject: Subject) -> None:
    """One amount per hold, none below zero, none beyond what is exact; the reservation stays as it was."""
    one = claim("r", hold(3))
    assert await subject.ledger.reserve(one) == Reserved()
    for amounts in ([], [1, 2], [-1], [AMOUNT_MAX + 1]):
        with pytest.raises(ValueError, match="amount"):
            await subject.ledger.settle(one, amounts)
    assert await subject.sums() == (0, 3)


async def test_large_sums_stay_exact(subject: Subject) -> None:
    """To the last microdollar, up to nine billion dollars."""
    most = AMOUNT_MAX
    assert await subject.ledger.reserve(claim("r", hold(most - 2, limit=most))) == Reserved()
    assert await subject.ledger.settle(claim("r", hold(most - 2, limit=most)), [most - 2])
    refused = await subject.ledger.reserve(claim("s", hold(3, limit=most)))
    assert isinstance(refused, NoBudget)
    assert refused.available == 2
    assert await subject.ledger.reserve(claim("t", hold(1, limit=most))) == Reserved()
    assert await subject.sums() == (most - 2, 1)


async def test_an_unknown_reservation_cannot_end(subject: Subject) -> None:
    """It was refused, or it ended long ago."""
    assert not await subject.ledger.settle(claim("r", hold()), [1])
    assert not await subject.ledger.release(claim("r", hold()))
    assert await subject.sums() == (0, 0)


async def test_an_overdue_slot_is_free_and_its_budget_charged(subject: Subject) -> None:
    """By the next reserve, unasked: a gateway that was killed must not keep a tier from the others."""
    assert await subject.ledger.reserve(claim("lost", hold(2), slots=1, life=0.25)) == Reserved()
    assert isinstance(await subject.ledger.reserve(claim("next", hold(1), slots=1)), NoSlot)
    await subject.pass_time(0.3)
    assert await subject.other.slots_held(["routing"]) == {"routing": 0}
    assert await subject.other.reserve(claim("next", hold(1), slots=1)) == Reserved()
    assert await subject.sums() == (2, 1)
    assert not await subject.ledger.settle(claim("lost", hold(2)), [1])


async def test_overdue_slots_are_free_however_many_there_are(subject: Subject) -> None:
    """Also when one reserve cannot sweep them all."""
    await asyncio.gather(*(subject.ledger.reserve(claim(f"r{i}", slots=50, life=0.2)) for i in range(50)))
    await subject.pass_time(0.25)
    assert await subject.ledger.reserve(claim("next", slots=1)) == Reserved()
    assert await subject.ledger.slots_held(["routing"]) == {"routing": 1}


async def test_a_late_settlement_counts_until_the_sweep(subject: Subject) -> None:
    """The real cost is truer than the worst case."""
    late = claim("late", hold(4), slots=1, life=0.03)
    assert await subject.ledger.reserve(late) == Reserved()
    await subject.pass_time(0.04)
    assert await subject.ledger.settle(late, [1])
    assert await subject.sums() == (1, 0)


async def test_expire_ends_all_that_are_overdue_and_no_other(subject: Subject) -> None:
    """More than one sweep's worth of them."""
    many = [subject.ledger.reserve(claim(f"r{i}", hold(1, limit=2000), slots=2000, life=0.5)) for i in range(600)]
    await asyncio.gather(*many, subject.ledger.reserve(claim("lives", hold(1, limit=2000), slots=2000)))
    assert await subject.ledger.expire() == 0
    await subject.pass_time(0.6)
    assert await subject.other.expire() == 600
    assert await subject.other.expire() == 0
    assert await subject.sums() == (600, 1)
    assert await subject.ledger.slots_held(["routing"]) == {"routing": 1}


async def test_a_new_window_begins_with_nothing_and_the_old_one_is_settled_in_its_place(
    subject: Subject,
) -> None:
    """What was held in a window is booked there, also after its end."""
    old = claim("old", hold(5, window=1))
    probe = await subject.ledger.reserve(claim("probe", hold(1, window=1, limit=0)))
    assert isinstance(probe, NoBudget)
    await subject.pass_time(probe.window_ends_in_seconds)
    assert await subject.ledger.reserve(old) == Reserved()
    full = await subject.ledger.reserve(claim("no", hold(1, window=1)))
    assert isinstance(full, NoBudget)
    assert 0 < full.window_ends_in_seconds <= 1
    await subject.pass_time(full.window_ends_in_seconds)
    assert await subject.ledger.balances([budget_of(window=1)]) == []
    assert await subject.ledger.reserve(claim("new", hold(2, window=1))) == Reserved()
    assert await subject.ledger.settle(old, [5])
    now = await subject.balance(window=1)
    assert (now.settled, now.held) == (0, 2)


async def test_owners_and_budgets_with_odd_names_never_share_a_balance(subject: Subject) -> None:
    """Names come from headers: separators, braces and other alphabets are only text."""
    pairs = [
        ("a", "b:c"),
        ("a:b", "c"),
        ("a", "b"),
        ("ab", ""),
        ("a", ":b"),
        ("1:a", "b"),
        ("ü", "{tiergate}:deadlines"),
        ("u", "Ω" * 256),
    ]
    for i, (budget, owner) in enumerate(pairs):
        one = claim(f"r{i}", hold(i + 1, budget=budget, owner=owner, limit=i + 1))
        assert await subject.ledger.reserve(one) == Reserved()
    for i, (budget, owner) in enumerate(pairs):
        assert await subject.sums(budget, owner) == (0, i + 1)


async def test_one_name_in_two_units_or_windows_is_two_balances(subject: Subject) -> None:
    """A budget that is redefined under its old name starts anew, and its old sums stay what they were."""
    assert await subject.ledger.reserve(claim("usd", hold(5))) == Reserved()
    assert await subject.ledger.reserve(claim("tokens", hold(5, unit="tokens"))) == Reserved()
    assert await subject.ledger.reserve(claim("long", hold(5, window=2 * 10**9))) == Reserved()
    both = await subject.ledger.balances([budget_of(), budget_of(unit="tokens")])
    assert [(one.unit, one.held) for one in both] == [("USD", 5), ("tokens", 5)]


async def test_balances_come_sorted_by_budget_and_owner(subject: Subject) -> None:
    """Of the budgets that are asked for, with the limits that are given."""
    for i, (budget, owner) in enumerate([("team", "z"), ("daily", "b"), ("daily", "a"), ("other", "a")]):
        assert await subject.ledger.reserve(claim(f"r{i}", hold(1, budget=budget, owner=owner))) == Reserved()
    found = await subject.other.balances([budget_of("team", limit=7), budget_of("daily")])
    assert [(one.budget, one.owner, one.limit) for one in found] == [
        ("daily", "a", 5),
        ("daily", "b", 5),
        ("team", "z", 7),
    ]
