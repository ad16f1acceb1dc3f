"""What is known of a request."""

from gateway.exchange import Clock
from tests.doubles.clock import ManualClock
from tests.gateway.samples import attempt, exchange


def test_the_latest_attempt_is_the_one_in_question() -> None:
    """Before the first there is none."""
    asked = exchange()
    assert asked.attempt is None
    first, second = attempt(), attempt()
    asked.attempts += [first, second]
    assert asked.attempt is second


def test_a_clock_of_the_tests_is_a_clock_of_the_gateway() -> None:
    """Both of its times go forward together."""
    clock = ManualClock()
    as_asked: Clock = clock
    before = as_asked.monotonic(), as_asked.unix()
    clock.advance(2.5)
    assert (as_asked.monotonic() - before[0], as_asked.unix() - before[1]) == (2.5, 2.5)
