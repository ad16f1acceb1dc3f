"""Endpoints that do much worse than their siblings, and how many of them may be ejected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiers.outliers import REQUESTS_MIN, Showing, outliers


def showing(failures: int = 0, seconds: float | None = 0.2, *, requests: int = 100, out: bool = False) -> Showing:
    return Showing(requests=requests, failures=failures, first_byte_seconds=seconds, out=out)


WELL = showing()
SHOWINGS = st.builds(
    Showing,
    requests=st.integers(0, 200),
    failures=st.integers(0, 200),
    first_byte_seconds=st.none() | st.floats(min_value=0, max_value=100),
    out=st.booleans(),
)


@pytest.mark.parametrize(
    ("showings", "ejected"),
    [
        ([WELL, WELL, WELL], []),
        ([WELL, showing(30), WELL], [(1, "failure_ratio")]),
        ([WELL, showing(29), WELL], []),
        ([WELL, WELL, showing(seconds=0.71)], [(2, "slow")]),
        ([WELL, WELL, showing(seconds=0.69)], []),
        ([showing(seconds=1), showing(seconds=2.9), showing(seconds=1)], []),
        ([showing(seconds=1), showing(seconds=3), showing(seconds=1)], [(1, "slow")]),
        ([showing(seconds=0), showing(seconds=0.5), showing(seconds=0)], [(1, "slow")]),
    ],
    ids=[
        "all well", "failing", "not far above", "slow", "not much slower", "not so many times", "so many times",
        "others at once",
    ],
)  # fmt: skip
def test_what_is_far_from_its_siblings_is_ejected(showings: list[Showing], ejected: list[tuple[int, str]]) -> None:
    assert outliers(showings) == ejected


def test_a_fault_that_all_share_ejects_none() -> None:
    """There is nothing better to ask."""
    assert outliers([showing(80), showing(90), showing(100)]) == []
    assert outliers([showing(seconds=30), showing(seconds=40)]) == []


@pytest.mark.parametrize("other", [showing(requests=REQUESTS_MIN - 1, seconds=None), showing(out=True)])
def test_nothing_is_judged_without_a_measure(other: Showing) -> None:
    """A sibling with too few requests, or one that is out itself, is none; nor is an endpoint with too few judged."""
    assert outliers([showing(90, 60), other]) == []
    assert outliers([showing(REQUESTS_MIN - 1, None, requests=REQUESTS_MIN - 1), WELL]) == []


def test_what_is_out_is_no_measure() -> None:
    """It may have been well before it went out."""
    few = showing(requests=REQUESTS_MIN - 1, seconds=None)
    assert outliers([showing(90, 60), few, few, showing(out=True)]) == []


def test_the_worst_go_first_and_never_more_than_half() -> None:
    """Of four, two; one that is out already counts."""
    assert outliers([showing(50), showing(90), showing(70), WELL, WELL]) == [(1, "failure_ratio"), (2, "failure_ratio")]
    assert outliers([showing(90), WELL]) == [(0, "failure_ratio")]
    assert outliers([showing(90), WELL, WELL, showing(out=True)]) == [(0, "failure_ratio")]
    assert outliers([showing(90), WELL, showing(out=True)]) == []


def test_a_single_endpoint_has_no_siblings() -> None:
    assert outliers([showing(100)]) == []
    assert outliers([]) == []


@given(st.lists(SHOWINGS, max_size=9))
def test_ejection_never_takes_more_than_half(showings: list[Showing]) -> None:
    """Whatever they show; no endpoint that is out is ejected, and none twice."""
    places = [place for place, _ in outliers(showings)]
    out = sum(each.out for each in showings)
    assert not places or out + len(places) <= len(showings) // 2
    assert len(set(places)) == len(places)
    assert not any(showings[place].out for place in places)
