from collections.abc import Iterable

from tests.tiers.moments import moment
from tiers.queue_workers import QueueWorkers
from tiers.worker_moment import Counted, Moment

LOAD = 60.0
IDLE_TIMEOUT = 10.0


def after(moments: Iterable[Moment]) -> Counted:
    """What is counted at the last of them."""
    workers, counted = QueueWorkers(idle_timeout=IDLE_TIMEOUT, load=LOAD), Counted()
    for each in moments:
        counted = workers.count(each, counted)
    return counted


def test_a_worker_is_billed_while_a_request_is_in_flight_and_for_the_idle_timeout_after_it() -> None:
    """Health counts it as ready before and after that, when FlashBoot only holds it."""
    held = moment(0.0, ready=1, idle=1)
    asking = moment(1.0, sampled_at=0.0, ready=1, idle=1, in_flight=1)
    over = moment(11.0, sampled_at=0.0, ready=1, idle=1)
    assert after([held]) == Counted()
    assert after([held, asking]) == Counted(awake=1)
    assert after([held, asking, over]) == Counted(awake=1)
    assert after([held, asking, over, moment(11.25, ready=1, idle=1)]) == Counted()


def test_a_worker_that_is_brought_back_loads_until_it_works() -> None:
    assert after([moment(0.0, warm=False, ready=1, idle=1, in_flight=1)]) == Counted(starting=1)


def test_nobody_is_billed_while_an_image_is_pulled() -> None:
    assert after([moment(0.0, warm=False, initializing=1, in_queue=1, in_flight=1)]) == Counted()


def test_a_worker_loads_while_a_job_waits_for_it() -> None:
    assert after([moment(0.0, ready=2, running=1, in_queue=1)]) == Counted(awake=1, starting=1)


def test_whoever_came_to_work_since_the_look_does_not_wait_any_more() -> None:
    assert after([moment(1.0, sampled_at=0.0, ready=2, in_queue=1, in_flight=1)]) == Counted(awake=1)


def test_what_was_at_work_at_a_look_ended_in_the_middle_before_the_next() -> None:
    """A second worker's job, of which no process here knows more."""
    both = moment(1.5, sampled_at=0.0, ready=2, running=2, in_flight=1)
    later = [moment(float(second), ready=2, running=1, in_flight=1) for second in (2, 10, 11)]
    assert after([both, *later]) == Counted(awake=2)
    assert after([both, *later, moment(11.25, sampled_at=11.0, ready=2, running=1, in_flight=1)]) == Counted(awake=1)


def test_several_requests_keep_several_workers_awake_where_they_last() -> None:
    both = moment(0.0, ready=2, running=2, in_flight=2)
    lasting = [moment(quarter / 4, sampled_at=0.0, ready=2, running=1, in_flight=2) for quarter in range(1, 60)]
    assert after([both, *lasting]) == Counted(awake=2)
    passing = [
        moment(quarter / 4, sampled_at=0.0, ready=2, running=1, in_flight=1 + quarter % 2) for quarter in range(1, 60)
    ]
    assert after([both, *passing]) == Counted(awake=1)


def test_only_a_container_that_starts_makes_more_ready() -> None:
    """It loads as long as the first one did, and then waits for its idle timeout, although nobody waits for it."""
    first = [
        moment(0.0, warm=False, initializing=1, in_queue=1, in_flight=1),
        moment(2.0, warm=False, ready=1, in_queue=1, in_flight=1),
        moment(41.0, ready=1, running=1, in_flight=1),
    ]
    second = moment(43.0, ready=2, running=1, in_flight=1)
    assert after([*first, second]) == Counted(awake=1, starting=1)
    loading = moment(81.0, ready=2, running=1, in_flight=1)
    assert after([*first, second, loading]) == Counted(awake=1, starting=1)
    loaded = moment(83.0, ready=2, running=1, in_flight=1)
    assert after([*first, second, loading, loaded]) == Counted(awake=2)
    gone = moment(105.0, ready=2, running=1, in_flight=1)
    assert after([*first, second, loading, loaded, gone]) == Counted(awake=1)


def test_without_flashboot_all_that_are_ready_are_billed() -> None:
    """It is seen to be off as soon as somebody is scaled down and not ready."""
    off = moment(0.0, idle=1)
    assert after([off, moment(200.0, ready=1, idle=2)]) == Counted(awake=1)


def test_workers_go_when_their_idle_timeout_is_over() -> None:
    workers = QueueWorkers(idle_timeout=IDLE_TIMEOUT, load=LOAD)
    counted = workers.count(moment(0.0, ready=1, running=1, in_flight=1), Counted())
    before, now = moment(10.0, ready=1, idle=1), moment(10.25, ready=1, idle=1)
    for each in (before, now):
        counted = workers.count(each, counted)
    assert counted == Counted()
    assert workers.fell_at(now, before) == 10.125


def test_without_flashboot_they_went_between_two_looks() -> None:
    workers = QueueWorkers(idle_timeout=IDLE_TIMEOUT, load=LOAD)
    workers.count(moment(0.0, idle=1), Counted())
    assert workers.fell_at(moment(4.0, idle=2), moment(3.75, sampled_at=2.0, ready=1, idle=2)) == 3.0
