from tests.tiers.moments import moment
from tiers.balancer_workers import BalancerWorkers
from tiers.worker_moment import Counted


def workers() -> BalancerWorkers:
    return BalancerWorkers(idle_timeout=10.0)


def test_workers_load_until_they_are_ready() -> None:
    assert workers().count(moment(0.0, warm=False, running=2), Counted()) == Counted(starting=2)
    assert workers().count(moment(0.0, running=3, ready=2), Counted()) == Counted(awake=2, starting=1)


def test_who_is_known_to_work_does_not_load_whatever_health_says_late() -> None:
    assert workers().count(moment(0.0, running=1), Counted()) == Counted(awake=1)


def test_a_worker_goes_when_its_idle_timeout_is_over_as_far_as_looks_allow() -> None:
    """The last request ended between two rounds, at 0.125; it was there at 9, and gone at 11."""
    seen = workers()
    seen.count(moment(0.0, running=1, ready=1, in_flight=1), Counted())
    before = moment(10.75, sampled_at=9.0, running=1, ready=1)
    assert seen.fell_at(moment(11.0), before) == 10.125
    assert seen.fell_at(moment(8.0), moment(7.75, sampled_at=6.0)) == 7.0
    assert seen.fell_at(moment(8.0, sampled_at=7.0), moment(7.75, sampled_at=7.0)) == 8.0
