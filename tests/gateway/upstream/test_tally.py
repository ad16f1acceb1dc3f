"""What endpoints of one tier are compared by."""

from gateway.upstream.tally import TIMES_KEPT_MAX, Tally
from tiers.outliers import REQUESTS_MIN, Showing


def tally(requests: int, *, failures: int = 0, seconds: float = 1.0) -> Tally:
    made = Tally()
    for number in range(requests):
        made.count(failed=number < failures)
        made.answered(seconds)
    return made


def test_two_spans_of_time_count_together() -> None:
    """Then the older one is forgotten."""
    subject = tally(20, failures=5)
    subject.turn()
    subject.count(failed=True)
    assert subject.showing(out=False) == Showing(requests=21, failures=6, first_byte_seconds=1.0)
    subject.turn()
    assert subject.showing(out=True) == Showing(requests=1, failures=1, out=True)


def test_the_middle_of_the_times_is_told_if_there_are_enough() -> None:
    """One answer that took long says nothing."""
    subject = tally(REQUESTS_MIN - 2, seconds=0.5)
    subject.answered(100.0)
    assert subject.showing(out=False).first_byte_seconds is None
    subject.answered(0.5)
    assert subject.showing(out=False).first_byte_seconds == 0.5


def test_no_more_times_are_kept_than_needed() -> None:
    """The latest ones."""
    subject = tally(TIMES_KEPT_MAX, seconds=1.0)
    for _ in range(TIMES_KEPT_MAX):
        subject.answered(2.0)
    assert subject.showing(out=False).first_byte_seconds == 2.0


def test_what_was_ejected_begins_anew() -> None:
    subject = tally(50, failures=50)
    subject.turn()
    subject.count(failed=True)
    subject.clear()
    assert subject.showing(out=False) == Showing(requests=0, failures=0)
