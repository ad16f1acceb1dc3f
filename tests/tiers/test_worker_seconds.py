from tiers.warmth import Sample
from tiers.worker_seconds import IDLE_TIMEOUT_SECONDS, WorkerSight, Working


def test_a_balancers_workers_load_until_they_are_ready() -> None:
    sight = WorkerSight(balanced=True)
    assert sight.see(Sample(running=2), 0.0, warm=False) == Working(starting=2)
    assert sight.see(Sample(running=3, ready=2), 0.0, warm=True) == Working(can=2, starting=1)


def test_what_is_known_to_work_does_not_load_whatever_health_says_late() -> None:
    assert WorkerSight(balanced=True).see(Sample(running=1, ready=0), 0.0, warm=True) == Working(can=1)


def test_a_queues_worker_waits_for_its_idle_timeout_and_then_costs_nothing() -> None:
    """Health counts it as ready, also while FlashBoot only holds it."""
    sight = WorkerSight(balanced=False)
    assert sight.see(Sample(running=1, ready=1), 0.0, warm=True).can == 1
    assert sight.see(Sample(ready=1, idle=1), IDLE_TIMEOUT_SECONDS, warm=True).can == 1
    assert sight.see(Sample(ready=1, idle=1), IDLE_TIMEOUT_SECONDS + 0.1, warm=True) == Working()


def test_a_queues_worker_loads_while_somebody_waits_and_none_works() -> None:
    sight = WorkerSight(balanced=False)
    assert sight.see(Sample(ready=1, in_queue=1), 0.0, warm=False) == Working(starting=1)
    assert sight.see(Sample(ready=2, running=1, in_queue=1), 0.0, warm=True) == Working(can=1, starting=1)
    assert sight.see(Sample(ready=1), 0.0, warm=False) == Working()


def test_workers_without_a_request_are_idle() -> None:
    assert Working(can=3).idle(2) == 1
    assert Working(can=3).idle(5) == 0
