"""What every ledger promises of windows that roll, or follow a calendar."""

import pytest

from gateway.budget.ledger import Claim, NoBudget, Reserved
from tests.contract.ledgers import Subject, budget_of, claim, hold
from tests.contract.moved import START
from tiers.windows import Window, bounds

pytestmark = pytest.mark.integration

MINUTE = Window(kind="rolling", seconds=60)
DAY = Window(kind="calendar", seconds=86_400, unit="day", zone="Europe/Berlin")


async def spend(subject: Subject, name: str, amount: int, window: Window) -> None:
    """Reserve and settle it at once."""
    one = claim(name, hold(amount, window=window))
    assert await subject.ledger.reserve(one) == Reserved()
    assert await subject.ledger.settle(one, [amount])


async def refused(subject: Subject, name: str, amount: int, window: Window) -> NoBudget:
    """Why it is not taken."""
    answer = await subject.other.reserve(claim(name, hold(amount, window=window)))
    assert isinstance(answer, NoBudget)
    return answer


async def rolled(subject: Subject) -> tuple[int, int]:
    """Settled and held in the minute up to now."""
    [one] = await subject.ledger.balances([budget_of(window=MINUTE)])
    return one.settled, one.held


async def test_an_amount_counts_until_its_whole_bucket_has_left(timed: Subject) -> None:
    """So no minute, whenever it begins, has more than the limit; and who is refused is told when it would fit."""
    await spend(timed, "first", 3, MINUTE)
    await timed.pass_time(30)
    await spend(timed, "second", 2, MINUTE)
    no = await refused(timed, "a", 3, MINUTE)
    assert (no.available, no.window_ends_in_seconds) == (0, 31)
    assert (await refused(timed, "b", 4, MINUTE)).window_ends_in_seconds == 60
    await timed.pass_time(30.5)
    assert (await refused(timed, "c", 1, MINUTE)).available == 0
    await timed.pass_time(0.5)
    assert await rolled(timed) == (2, 0)
    assert (await refused(timed, "d", 4, MINUTE)).available == 3
    assert await timed.ledger.reserve(claim("e", hold(3, window=MINUTE))) == Reserved()
    assert await rolled(timed) == (2, 3)
    await timed.pass_time(120)
    assert await rolled(timed) == (0, 0)


async def test_buckets_leave_one_after_the_other(timed: Subject) -> None:
    """Two that follow each other do not go together, nor does what is still held."""
    await spend(timed, "first", 1, MINUTE)
    await timed.pass_time(1)
    await spend(timed, "second", 2, MINUTE)
    assert await timed.ledger.reserve(claim("held", hold(1, window=MINUTE))) == Reserved()
    for passed, left in ((59, (3, 1)), (1, (2, 1)), (1, (0, 0))):
        await timed.pass_time(passed)
        assert await rolled(timed) == left
        free = 5 - sum(left)
        assert (await refused(timed, "no", free + 1, MINUTE)).available == free


async def test_what_is_held_in_a_rolling_window_is_given_back(timed: Subject) -> None:
    """All of it by a release, the rest by a settlement."""
    first, second = claim("first", hold(3, window=MINUTE)), claim("second", hold(2, window=MINUTE))
    assert await timed.ledger.reserve(first) == Reserved()
    assert await timed.ledger.reserve(second) == Reserved()
    assert (await refused(timed, "no", 1, MINUTE)).available == 0
    assert await timed.ledger.release(first)
    assert await timed.ledger.settle(second, [1])
    assert await rolled(timed) == (1, 0)
    assert (await refused(timed, "no", 5, MINUTE)).available == 4


async def test_what_ends_after_it_left_the_window_changes_nothing_in_it(timed: Subject) -> None:
    """It counted from when it was held."""
    old = claim("old", hold(3, window=MINUTE), life=600)
    assert await timed.ledger.reserve(old) == Reserved()
    await timed.pass_time(100)
    assert await timed.ledger.reserve(claim("new", hold(4, window=MINUTE), life=600)) == Reserved()
    assert await rolled(timed) == (0, 4)
    assert await timed.ledger.settle(old, [2])
    assert await rolled(timed) == (0, 4)
    await timed.pass_time(100)
    assert await timed.ledger.settle(claim("new", hold(4, window=MINUTE)), [1])
    assert await rolled(timed) == (0, 0)


async def test_two_holds_on_one_rolling_balance_count_together(timed: Subject) -> None:
    """Also when old buckets leave on the way."""
    await spend(timed, "old", 5, MINUTE)
    await timed.pass_time(61)
    both = claim("both", hold(3, window=MINUTE), hold(2, window=MINUTE))
    assert isinstance(await timed.ledger.reserve(claim("no", *[hold(3, window=MINUTE)] * 2)), NoBudget)
    assert await timed.ledger.reserve(both) == Reserved()
    assert await rolled(timed) == (0, 5)
    assert await timed.ledger.settle(both, [1, 1])
    assert await rolled(timed) == (2, 0)


async def test_a_free_hold_is_settled_in_a_rolling_window_all_the_same(timed: Subject) -> None:
    """Also after everything before it has left."""
    free = claim("free", hold(0, window=MINUTE))
    await spend(timed, "old", 1, MINUTE)
    await timed.pass_time(50)
    assert await timed.ledger.reserve(free) == Reserved()
    await timed.pass_time(11)
    assert await timed.ledger.reserve(claim("next", hold(1, window=MINUTE))) == Reserved()
    assert await timed.ledger.settle(free, [2])
    assert await rolled(timed) == (2, 1)


async def test_a_calendars_window_ends_when_the_clocks_there_say_so(timed: Subject) -> None:
    """One day's budget is not the next day's, also for a caller whose budgets were worked out the day before."""
    concerned = claim("any", hold(5, window=DAY)).concerned
    start, ends = bounds(DAY, START)

    def of(name: str) -> Claim:
        return Claim(id=name, slot=None, concerned=concerned, amounts=[5], life_seconds=86_400)

    assert await timed.ledger.reserve(of("today")) == Reserved()
    no = await timed.ledger.reserve(of("no"))
    assert isinstance(no, NoBudget)
    assert no.window_ends_in_seconds == ends - START
    await timed.pass_time(ends - START - 1)
    assert isinstance(await timed.ledger.reserve(of("still")), NoBudget)
    await timed.pass_time(1)
    assert await timed.ledger.balances([budget_of(window=DAY)]) == []
    assert await timed.ledger.reserve(of("tomorrow")) == Reserved()
    assert await timed.ledger.settle(of("today"), [4])
    [one] = await timed.ledger.balances([budget_of(window=DAY)])
    assert (one.settled, one.held, one.window_ends_in_seconds) == (0, 5, ends - start)
