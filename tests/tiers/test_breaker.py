"""The circuit breaker: its table, its deadlines, and that a trial is never made twice."""

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiers.breaker import TRANSITIONS, Circuit, Event, State, failed, open_seconds, succeeded, tried, tripped
from tiers.tiermap import Breaker

SETTINGS = Breaker(failures=3, within=30, open=5, open_max=20)
WAIT = 10.0
CLOSED, OPEN, HALF_OPEN = State.CLOSED, State.OPEN, State.HALF_OPEN


def after_failures(*times: float, circuit: Circuit | None = None, settings: Breaker = SETTINGS) -> Circuit:
    circuit = circuit or Circuit()
    for now in times:
        circuit = failed(circuit, settings, now)
    return circuit


def on_trial(circuit: Circuit, now: float) -> Circuit:
    begun = tried(circuit, now, wait=WAIT)
    assert begun is not None
    return begun


@pytest.mark.parametrize(
    ("state", "event", "after"),
    [
        (CLOSED, Event.SUCCESS, CLOSED),
        (CLOSED, Event.FAILURE, CLOSED),
        (CLOSED, Event.TRIP, OPEN),
        (CLOSED, Event.TIME, CLOSED),
        (OPEN, Event.SUCCESS, OPEN),
        (OPEN, Event.FAILURE, OPEN),
        (OPEN, Event.TRIP, OPEN),
        (OPEN, Event.TIME, HALF_OPEN),
        (HALF_OPEN, Event.SUCCESS, CLOSED),
        (HALF_OPEN, Event.FAILURE, OPEN),
        (HALF_OPEN, Event.TRIP, OPEN),
        (HALF_OPEN, Event.TIME, HALF_OPEN),
    ],
)
def test_every_event_in_every_state_has_one_next_state(state: State, event: Event, after: State) -> None:
    assert TRANSITIONS[state, event] is after


def test_the_table_is_complete() -> None:
    assert set(TRANSITIONS) == set(product(State, Event))


def test_so_many_failures_in_a_row_open_it() -> None:
    """The last of them, at once; until an absolute deadline."""
    assert after_failures(100, 101).state is CLOSED
    opened = after_failures(100, 101, 102)
    assert (opened.state, opened.until, opened.openings) == (OPEN, 107, 1)


def test_one_failure_can_be_enough() -> None:
    """Where the tier map says so."""
    strict = Breaker(failures=1, within=30, open=5, open_max=20)
    assert after_failures(100, settings=strict).state is OPEN


def test_failures_count_only_within_their_time() -> None:
    """The first of these three was 31 seconds before the last; the other two still count for the next."""
    spread = after_failures(100, 130, 131)
    assert spread.state is CLOSED
    assert after_failures(132, circuit=spread).state is OPEN
    assert after_failures(100, 129, 130).state is OPEN


def test_a_success_ends_the_row() -> None:
    """Then they are counted anew."""
    forgiven = succeeded(after_failures(100, 101), SETTINGS, 102)
    assert forgiven.spotless
    assert after_failures(103, 104, circuit=forgiven).state is CLOSED


def test_what_was_sent_before_changes_nothing_while_it_is_open() -> None:
    """Neither for better nor for worse."""
    opened = after_failures(100, 101, 102)
    assert failed(opened, SETTINGS, 103) == opened
    assert tripped(opened, SETTINGS, 103) == opened
    assert succeeded(opened, SETTINGS, 103) == opened


def test_a_trial_begins_when_the_time_has_come_and_not_earlier() -> None:
    """And only where it is open."""
    opened = after_failures(100, 101, 102)
    assert tried(opened, 106.9, wait=WAIT) is None
    begun = on_trial(opened, 107)
    assert (begun.state, begun.until) == (HALF_OPEN, 117)
    assert tried(Circuit(), 107, wait=WAIT) is None


def test_a_trial_whose_result_never_comes_is_made_again() -> None:
    """A client may have left in the middle of it."""
    begun = on_trial(after_failures(100, 101, 102), 107)
    assert tried(begun, 116.9, wait=WAIT) is None
    assert on_trial(begun, 117).until == 127


@pytest.mark.parametrize("ending", [failed, tripped])
def test_each_opening_in_a_row_is_twice_as_long_up_to_a_bound(ending: object) -> None:
    """5, 10, 20 and then ever 20 seconds."""
    assert ending in {failed, tripped}
    end = failed if ending is failed else tripped
    circuit, lengths = after_failures(100, 101, 102), []
    for _ in range(5):
        now = circuit.until
        circuit = end(on_trial(circuit, now), SETTINGS, now + 1)
        lengths.append(circuit.until - now - 1)
    assert lengths == [10, 20, 20, 20, 20]


def test_no_number_of_openings_is_too_many() -> None:
    """A week of outage has thousands."""
    assert open_seconds(100_000, SETTINGS) == 20


def test_a_good_trial_closes_it_and_the_first_failure_opens_it_again() -> None:
    """It then lasts longer than before, since nothing has been served in between."""
    closed = succeeded(on_trial(after_failures(100, 101, 102), 107), SETTINGS, 108)
    assert closed.state is CLOSED
    assert not closed.spotless
    again = failed(closed, SETTINGS, 109)
    assert (again.state, again.until - 109) == (OPEN, 10)


def test_after_a_success_it_takes_as_many_failures_as_ever() -> None:
    """In a row with the opening before it, where that was closed no longer ago than the longest opening lasts."""
    closed = succeeded(on_trial(after_failures(100, 101, 102), 107), SETTINGS, 108)
    served = succeeded(closed, SETTINGS, 109)
    assert after_failures(110, 111, circuit=served).state is CLOSED
    assert after_failures(110, 111, 112, circuit=served).until == 122
    assert after_failures(126, 127, 128, circuit=served).until == 133


@given(
    st.lists(
        st.tuples(st.sampled_from(["success", "failure", "trip", "try"]), st.floats(min_value=0, max_value=10)),
        max_size=60,
    ),
    st.integers(min_value=1, max_value=4),
)
def test_no_two_trials_are_under_way_at_once(steps: list[tuple[str, float]], failures: int) -> None:
    """Whatever happens: between two trials a result came, or the wait for it was over. None begins while it is open."""
    settings = Breaker(failures=failures, within=30, open=5, open_max=20)
    circuit, now, begun_at, opened_at = Circuit(), 1000.0, None, 0.0
    for what, seconds in steps:
        now += seconds
        if what == "try":
            begun = tried(circuit, now, wait=WAIT)
            if begun is not None:
                assert now - opened_at >= 5
                assert begun_at is None or now - begun_at >= WAIT
                circuit, begun_at = begun, now
            continue
        before = circuit
        circuit = {"success": succeeded, "failure": failed, "trip": tripped}[what](circuit, settings, now)
        if circuit.state is not HALF_OPEN:
            begun_at = None
        if circuit.state is OPEN and before.state is not OPEN:
            opened_at = now
            assert now + 5 <= circuit.until <= now + 20


@given(st.integers(min_value=1, max_value=200))
def test_openings_never_get_shorter(openings: int) -> None:
    lengths = [open_seconds(number, SETTINGS) for number in range(1, openings + 1)]
    assert all(one <= other for one, other in pairwise(lengths))
