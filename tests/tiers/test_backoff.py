from itertools import pairwise

import pytest

from tiers.backoff import PAD_SECONDS, wait_seconds
from tiers.tiermap import Retry

RETRY = Retry(backoff=0.2, backoff_max=1.0, retry_after_max=5.0)


@pytest.mark.parametrize(
    ("failures", "draw", "seconds"),
    [(1, 0, 0), (1, 0.5, 0.1), (2, 0.5, 0.2), (3, 0.5, 0.4), (4, 0.5, 0.5), (10_000, 0.5, 0.5)],
)
def test_the_wait_is_drawn_from_a_bound_that_doubles_up_to_its_maximum(
    failures: int, draw: float, seconds: float
) -> None:
    assert wait_seconds(RETRY, failures, draw) == pytest.approx(seconds)


def test_no_draw_waits_longer_than_the_bound() -> None:
    waits = [wait_seconds(RETRY, failures, 0.999) or 0 for failures in range(1, 9)]
    assert all(one <= other for one, other in pairwise(waits))
    assert waits[-1] < RETRY.backoff_max


@pytest.mark.parametrize("asked", [0.0, 0.5, 5.0])
def test_what_the_endpoint_asks_for_comes_before_the_jitter(asked: float) -> None:
    """So that those who were told the same time do not come back together, and none comes too early."""
    assert wait_seconds(RETRY, 1, 0.5, asked) == pytest.approx(asked + PAD_SECONDS + 0.1)


def test_a_long_wait_is_not_waited() -> None:
    assert wait_seconds(RETRY, 1, 0.5, 5.1) is None
