"""Rate limits."""

from deploy.emulator.model.limits import LIMITS, Gate, Window


def test_a_window_lets_so_many_calls_through_in_ten_seconds() -> None:
    window = Window(2)
    assert window.take(0.0) == 0
    assert window.take(4.0) == 0
    assert window.take(5.0) == 5.0
    assert (window.remaining(5.0), window.resets_in(5.0)) == (0, 5.0)
    assert window.take(10.0) == 0
    assert window.remaining(20.0) == 2
    assert window.resets_in(20.0) == 0
    assert Window(0).take(0.0) == 10.0


def test_a_gate_counts_calls_and_calls_at_once() -> None:
    gate = Gate()
    assert all(gate.enter("cancel", 0.0, running_workers=0) for _ in range(20))
    assert not gate.enter("cancel", 0.0, running_workers=0)
    gate.leave("cancel")
    assert gate.enter("cancel", 0.0, running_workers=0)


def test_purging_is_limited_by_calls_alone() -> None:
    gate = Gate()
    assert [gate.enter("purge-queue", 0.0, running_workers=9) for _ in range(3)] == [True, True, False]


def test_running_workers_raise_the_limit() -> None:
    gate = Gate()
    calls = LIMITS["run"].calls
    for _ in range(calls):
        assert gate.enter("run", 0.0, running_workers=0)
        gate.leave("run")
    assert not gate.enter("run", 0.0, running_workers=0)
    assert gate.enter("run", 0.0, running_workers=20)
