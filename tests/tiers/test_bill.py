import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiers.bill import Books, Line, billed_milliseconds, reconcile, split

AMOUNTS = st.integers(min_value=0, max_value=10**12)


def line(**changes: int) -> Line:
    amounts = {"attributed": 0, "starting": 0, "idle": 0, "billed": 0, "billed_microdollars": 0}
    return Line(day="2026-06-01", tier="reasoning", endpoint="e1", **(amounts | changes))


def test_what_nobody_saw_is_unexplained() -> None:
    """100 s billed for 0.04 dollars; 60 for requests, 25 for loading, 10 idle: 5 are left."""
    made = line(attributed=60_000, starting=25_000, idle=10_000, billed=100_000, billed_microdollars=40_000)
    assert (made.overhead, made.unexplained, made.unexplained_microdollars) == (35_000, 5_000, 2_000)
    assert made.drift == pytest.approx(0.05)


def test_more_seen_than_billed_is_drift_below_zero() -> None:
    assert line(attributed=1_010, billed=1_000).drift == pytest.approx(-0.01)


def test_without_a_bill_all_that_was_seen_is_unexplained_and_free() -> None:
    made = line(attributed=10)
    assert (made.unexplained, made.unexplained_microdollars, made.drift) == (-10, 0, 0.0)


def test_a_bill_has_amounts_and_seconds_follow_from_the_price() -> None:
    assert billed_milliseconds(310, 310) == 1000
    assert billed_milliseconds(155, 310) == 500
    assert billed_milliseconds(155, 0) == 0


def test_tiers_of_one_endpoint_share_its_overhead_as_their_requests_owe() -> None:
    books = Books(attributed={"a": 3_000, "b": 1_000}, starting=400, awake=4_200)
    a, b = reconcile(
        day="2026-06-01", endpoint="e", tiers=["a", "b"], books=books, billed=5_000, billed_microdollars=100
    )
    assert (a.starting, b.starting, a.idle, b.idle) == (300, 100, 150, 50)
    assert (a.billed, b.billed, a.billed_microdollars, b.billed_microdollars) == (3_750, 1_250, 75, 25)


def test_tiers_without_a_request_share_evenly() -> None:
    lines = reconcile(day="d", endpoint="e", tiers=["a", "b"], books=Books(), billed=7, billed_microdollars=0)
    assert [each.billed for each in lines] == [3, 4]


@given(AMOUNTS, st.lists(AMOUNTS, min_size=1, max_size=6).filter(sum))
def test_parts_add_up(amount: int, weights: list[int]) -> None:
    parts = split(amount, weights)
    assert sum(parts) == amount
    assert all(part >= 0 for part in parts)


@given(st.dictionaries(st.sampled_from("abc"), AMOUNTS), AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS)
def test_every_billed_second_is_booked_somewhere(
    attributed: dict[str, int], starting: int, awake: int, billed: int, cost: int
) -> None:
    books = Books(attributed=attributed, starting=starting, awake=awake)
    lines = reconcile(day="d", endpoint="e", tiers=["a"], books=books, billed=billed, billed_microdollars=cost)
    assert sum(each.attributed + each.overhead + each.unexplained for each in lines) == billed
    assert sum(each.billed_microdollars for each in lines) == cost
    assert sum(each.attributed + each.overhead for each in lines) == books.seen
    assert books.seen == starting + max(awake, sum(attributed.values()))
