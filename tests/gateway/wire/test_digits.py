"""A length is read as ``int`` reads it, and nothing that is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.digits import digits_at


@pytest.mark.parametrize(
    ("data", "start", "found"),
    [
        (b"length: 42\r\n", 8, (42, 10)),
        (b"007x", 0, (7, 3)),
        (b"1234567890", 0, (1234, 4)),
        (b"12", 0, (12, 2)),
        (b"", 0, (0, 0)),
        (b"12", 2, (0, 2)),
        (b"-1", 0, (0, 0)),
        (b"+1", 0, (0, 0)),
        (b" 1", 0, (0, 0)),
        (b"1_0", 0, (1, 1)),
        (b"/:", 0, (0, 0)),
    ],
)
def test_the_digits_that_stand_there_are_a_number(data: bytes, start: int, found: tuple[int, int]) -> None:
    """As many as may be; signs, spaces and whatever else Python takes are none."""
    assert digits_at(data, start, 4) == found


@given(st.binary(max_size=8), st.integers(0, 10**9), st.sampled_from([b"", b"\r\n", b"x9"]))
def test_a_number_is_read_as_it_was_written(before: bytes, number: int, after: bytes) -> None:
    """Wherever it stands."""
    text = b"%d" % number
    assert digits_at(before + text + after, len(before), 10) == (number, len(before) + len(text))
