"""How fast a body must come."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.pace import BODY_BYTES_PER_SECOND_MIN, BODY_SECONDS, body_due

SECONDS = st.floats(0, 1e6)


@given(begun=SECONDS, waited=SECONDS, taken=st.integers(0, 2**31))
def test_neither_a_gap_nor_the_whole_is_without_a_bound(begun: float, waited: float, taken: int) -> None:
    now = begun + waited
    due = body_due(begun, taken, now)
    assert due <= now + BODY_SECONDS
    assert due <= begun + BODY_SECONDS + taken / BODY_BYTES_PER_SECOND_MIN


@given(begun=SECONDS, seconds=st.floats(0, 1e4))
def test_a_body_that_comes_fast_enough_has_the_time_of_a_gap(begun: float, seconds: float) -> None:
    taken = int(seconds * BODY_BYTES_PER_SECOND_MIN) + 1
    assert body_due(begun, taken, begun + seconds) >= begun + seconds + BODY_SECONDS - 1e-3
