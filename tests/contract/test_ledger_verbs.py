"""What every ledger promises of budgets that only report, and of extending, booking and listing what is held."""

import pytest

from gateway.budget.ledger import AMOUNT_MAX, Holding, NoBudget, Over, Reserved
from tests.contract.ledgers import Subject, budget_of, claim, hold
from tests.contract.moved import START
from tiers.windows import Window

pytestmark = pytest.mark.integration

MINUTE = Window(kind="rolling", seconds=60)


async def test_a_budget_that_only_reports_refuses_nothing_and_tells(timed: Subject) -> None:
    """By its place among the holds; it counts what is held beyond it."""
    free, watched = hold(1, limit=9), hold(4, budget="watched", limit=3, spent="shadow")
    assert await timed.ledger.reserve(claim("r", free, watched)) == Reserved(shadowed=(1,))
    assert await timed.sums("watched") == (0, 4)
    assert await timed.ledger.reserve(claim("s", watched, free, watched)) == Reserved(shadowed=(0, 2))
    assert await timed.ledger.reserve(claim("t", hold(0, budget="watched", spent="shadow", limit=99))) == Reserved()
    assert isinstance(await timed.ledger.reserve(claim("no", watched, hold(9, limit=9))), NoBudget)
    assert await timed.sums("watched") == (0, 12)


async def test_extending_holds_more_and_never_less(timed: Subject) -> None:
    """Amounts are in all, so the same words twice change nothing more."""
    one = claim("r", hold(1), hold(2, budget="team"))
    assert await timed.ledger.reserve(one) == Reserved()
    assert await timed.ledger.extend(one, [3, 2]) == Reserved()
    assert await timed.other.extend(one, [3, 1]) == Reserved()
    assert (await timed.sums(), await timed.sums("team")) == ((0, 3), (0, 2))
    assert await timed.ledger.settle(one, [2, 2])
    assert (await timed.sums(), await timed.sums("team")) == ((2, 0), (2, 0))


async def test_an_extension_that_does_not_fit_changes_nothing(timed: Subject) -> None:
    """On none of the budgets; what was held before stays."""
    one = claim("r", hold(1), hold(2, budget="team", window=MINUTE))
    assert await timed.ledger.reserve(one) == Reserved()
    no = await timed.ledger.extend(one, [4, 6])
    assert isinstance(no, NoBudget)
    assert (no.hold.concern.budget, no.available, no.window_ends_in_seconds) == ("team", 3, 60)
    assert await timed.sums() == (0, 1)
    assert await timed.ledger.extend(one, [4, 5]) == Reserved()
    with pytest.raises(ValueError, match="amount"):
        await timed.ledger.extend(one, [1])


async def test_a_budget_that_only_reports_is_extended_beyond_its_limit(timed: Subject) -> None:
    """And tells, by its place among the claim's holds."""
    one = claim("r", hold(1), hold(1, budget="watched", spent="shadow", limit=2))
    assert await timed.ledger.reserve(one) == Reserved()
    assert await timed.ledger.extend(one, [1, 7]) == Reserved(shadowed=(1,))
    assert await timed.sums("watched") == (0, 7)


async def test_what_is_over_cannot_be_extended(timed: Subject) -> None:
    """It ended, its time is over, or it never was."""
    one, late = claim("r", hold(1)), claim("late", hold(1), life=10)
    assert await timed.ledger.extend(one, [2]) == Over()
    assert await timed.ledger.reserve(one) == Reserved()
    assert await timed.ledger.reserve(late) == Reserved()
    assert await timed.ledger.settle(one, [1])
    assert await timed.ledger.extend(one, [2]) == Over()
    await timed.pass_time(10)
    assert await timed.ledger.extend(late, [2]) == Over()
    assert await timed.sums() == (1, 1)


@pytest.mark.parametrize("window", [Window(seconds=10**9), MINUTE], ids=["aligned", "rolling"])
async def test_booking_what_was_never_reserved_happens_once(timed: Subject, window: Window) -> None:
    """Also beyond the limit, for it was spent; and a reserve that arrives after it takes nothing."""
    one = claim("r", hold(1, window=window))
    assert await timed.ledger.book(one, [7])
    assert not await timed.other.book(one, [7])
    assert not await timed.ledger.settle(one, [7])
    assert await timed.ledger.reserve(one) == Reserved()
    [balance] = await timed.ledger.balances([budget_of(window=window)])
    assert (balance.owner, balance.settled, balance.held) == ("writer", 7, 0)
    with pytest.raises(ValueError, match="amount"):
        await timed.ledger.book(claim("s", hold(1)), [AMOUNT_MAX + 1])


async def test_booking_settles_what_is_live(timed: Subject) -> None:
    """The reserve arrived, though its answer did not; also where its time is over and nobody has swept."""
    one, late = claim("r", hold(3), slots=1), claim("late", hold(2), life=10)
    for each in (one, late):
        assert await timed.ledger.reserve(each) == Reserved()
    await timed.pass_time(10)
    assert await timed.ledger.book(one, [2])
    assert await timed.ledger.book(late, [1])
    assert await timed.sums() == (3, 0)
    assert await timed.ledger.slots_held(["routing"]) == {"routing": 0}


async def test_booking_after_another_end(timed: Subject) -> None:
    """Settled and expired were charged already; who gave up on a reserve released it, and nothing was."""
    settled, expired, released = (claim(name, hold(1), life=10) for name in ("settled", "expired", "released"))
    for one in (settled, expired, released):
        assert await timed.ledger.reserve(one) == Reserved()
    assert await timed.ledger.settle(settled, [1])
    assert await timed.ledger.release(released)
    await timed.pass_time(10)
    assert await timed.ledger.expire() == 1
    assert [await timed.ledger.book(one, [1]) for one in (settled, expired, released)] == [False, False, True]
    assert not await timed.ledger.book(released, [1])
    assert not await timed.ledger.release(claim("given up", hold(1)))
    assert await timed.ledger.book(claim("given up", hold(1)), [1])
    assert await timed.sums() == (4, 0)


@pytest.mark.parametrize("window", [Window(seconds=10**9), MINUTE], ids=["aligned", "rolling"])
async def test_holdings_tell_who_holds_what_until_when(timed: Subject, window: Window) -> None:
    """By owner, the largest first, of the budget that is asked for."""
    other = hold(1, budget="other", window=window)
    for name, owner, amount in (("a", "writer", 1), ("b", "writer", 3), ("c", "editor", 2), ("d", "writer", 0)):
        one = claim(name, other, hold(amount, owner=owner, window=window), life=50)
        assert await timed.ledger.reserve(one) == Reserved()
    found = await timed.other.holdings(budget_of(window=window))
    assert found == [
        Holding(claim_id=name, owner=owner, amount=amount, until_unix=START + 50)
        for name, owner, amount in (("c", "editor", 2), ("b", "writer", 3), ("a", "writer", 1))
    ]
    assert await timed.ledger.holdings(budget_of(window=window), limit=2) == found[:2]
    assert await timed.ledger.release(claim("b"))
    assert [one.claim_id for one in await timed.ledger.holdings(budget_of(window=window))] == ["c", "a"]
