from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from tests.tiers.moments import moment
from tiers.worker_moment import Moment
from tiers.worker_seconds import ROUNDED_SECONDS, WorkerSight, Working


def last(moments: Iterable[Moment], *, balanced: bool = True) -> Working:
    """What is seen at the last of them."""
    sight, seen = WorkerSight(balanced=balanced, idle_timeout=10.0, load=60.0), Working()
    for each in moments:
        seen = sight.see(each)
    return seen


def test_what_was_there_before_the_first_look_is_nobodys() -> None:
    assert last([moment(100.0, running=1, ready=1)]) == Working(awake=1)


def test_a_worker_that_nobody_asked_for_came_in_the_middle_between_two_looks() -> None:
    assert last([moment(0.0), moment(4.0, sampled_at=3.0, running=1, ready=1)]) == Working(awake=1, awake_before=2.5)


def test_the_first_worker_did_not_come_before_it_was_asked_for() -> None:
    """At once where no image was pulled; else in the middle between that and the look."""
    asked = moment(61.0, warm=False, running=1, in_flight=1, asked=60.0)
    assert last([moment(0.0, warm=False), asked]) == Working(starting=1, starting_before=1.0)
    pulling = moment(0.0, warm=False, initializing=1)
    assert last([pulling, asked]) == Working(starting=1, starting_before=0.5)


def test_a_worker_that_was_there_before_it_was_asked_for_was_not_asked_for() -> None:
    late = moment(61.0, sampled_at=60.0, running=1, ready=1, in_flight=1, asked=61.0)
    assert last([moment(58.0), late]) == Working(awake=1, awake_before=2.0)


def test_a_queues_first_worker_is_believed_before_health_tells_of_it() -> None:
    held = moment(0.0, ready=1, idle=1)
    asked = moment(61.0, sampled_at=0.0, ready=1, idle=1, in_flight=1, asked=60.875)
    assert last([held, asked], balanced=False) == Working(awake=1, awake_before=0.125)


def test_another_worker_came_in_the_middle_or_just_now() -> None:
    one = moment(0.0, ready=1, running=1, in_flight=1, asked=0.0)
    two = moment(2.0, ready=2, running=2, in_flight=2, asked=0.0)
    assert last([one, two], balanced=False) == Working(awake=2, awake_before=1.0)
    busy = moment(0.0, ready=2, running=1, in_queue=1)
    assert last([busy, moment(1.0, sampled_at=0.0, ready=2, running=1, in_queue=1)], balanced=False).awake_before == 0


def test_a_worker_that_has_loaded_is_awake_from_the_middle_on() -> None:
    loading = moment(0.0, warm=False, running=1, in_flight=1)
    seen = last([loading, moment(2.0, running=1, ready=1, in_flight=1)])
    assert seen == Working(awake=1, awake_before=1.0, starting_before=-1.0)


def test_a_worker_that_has_gone_was_billed_for_whole_seconds() -> None:
    seen = last([moment(0.0, running=1, ready=1), moment(2.0, warm=False)])
    assert seen == Working(awake_before=-1.0 + ROUNDED_SECONDS)


def test_one_that_loads_again_is_another_one() -> None:
    """The first one's last second was rounded up, too."""
    seen = last([moment(0.0, running=1, ready=1), moment(2.0, running=1, in_flight=1, asked=1.5)])
    assert seen == Working(awake=1, awake_before=ROUNDED_SECONDS)


def test_where_nothing_changes_nothing_is_made_up_for() -> None:
    assert last([moment(0.0, running=1, ready=1), moment(2.0, running=1, ready=1)]) == Working(awake=1)


@given(
    st.floats(min_value=1.0, max_value=100.0),
    st.floats(min_value=3.0, max_value=300.0),
    st.floats(min_value=0.0, max_value=2.0),
)
def test_a_run_is_known_to_one_look_at_each_end(began: float, lasted: float, first_look: float) -> None:
    """Whenever it begins and ends, where nobody knows better than looks every two seconds."""
    sight = WorkerSight(balanced=True, idle_timeout=10.0, load=60.0)
    booked, before, at = 0.0, Working(), first_look
    while at < began + lasted + 4:
        there = int(began <= at < began + lasted)
        seen = sight.see(moment(at, running=there, ready=there, warm=bool(there)))
        booked += 2.0 * (before.awake + before.starting) + seen.awake_before + seen.starting_before
        before, at = seen, at + 2.0
    assert abs(booked - ROUNDED_SECONDS - lasted) <= 2.0
