import pytest

from bench.slope import slope


def test_a_straight_line_has_its_growth_and_no_error() -> None:
    line = slope([0, 1, 2, 3], [5, 7, 9, 11])
    assert (line.per_unit, line.error) == (2, 0)
    assert not line.flat(tolerance=1.9)
    assert line.flat(tolerance=2)


def test_growth_within_two_standard_errors_is_flat() -> None:
    line = slope([0, 1, 2, 3], [0, 3, 0, 3])
    assert line.per_unit == pytest.approx(0.6)
    assert line.error == pytest.approx(0.8485, abs=1e-4)
    assert line.flat(tolerance=0)


def test_what_shrinks_is_flat() -> None:
    assert slope([0, 1, 2], [9, 6, 3]).flat(tolerance=0)


def test_two_samples_tell_nothing() -> None:
    with pytest.raises(ValueError, match="2 samples"):
        slope([0, 1], [0, 1])
