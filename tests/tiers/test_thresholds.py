import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiers.thresholds import reached

AT = (50, 80, 100, 150)


@pytest.mark.parametrize(
    ("settled", "expected"),
    [
        (0, ()),
        (49, ()),
        (50, (50,)),
        (79, (50,)),
        (80, (50, 80)),
        (100, (50, 80, 100)),
        (149, (50, 80, 100)),
        (1000, AT),
    ],
)
def test_a_part_is_reached_once_so_much_is_settled(settled: int, expected: tuple[int, ...]) -> None:
    assert reached(AT, settled=settled, limit=100) == expected


@given(limit=st.integers(1, 10**15), percent=st.integers(1, 1000))
def test_parts_are_exact(limit: int, percent: int) -> None:
    """To the microdollar: the first amount that reaches a part is its ceiling."""
    first = -(-limit * percent // 100)
    assert reached([percent], settled=first, limit=limit)
    assert not reached([percent], settled=first - 1, limit=limit)
