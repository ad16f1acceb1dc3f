"""Who may go to an endpoint whose workers sleep, and who waits."""

import asyncio

import pytest

from gateway.errors import TierCold
from gateway.upstream.gate import Gate, Turn
from gateway.upstream.warmth import Outlook
from tests.doubles.wakes import CountedWakes
from tests.doubles.warmth import ManualWarmth, hope
from tests.stores import eventually


class Line:
    """A gate, and calls that come to it."""

    def __init__(self, *, workers_max: int = 3, worker_slots: int = 10) -> None:
        self.warmth = ManualWarmth(workers_max=workers_max, worker_slots=worker_slots)
        self.wakes = CountedWakes()
        self.gate = Gate(self.warmth, self.wakes)
        self.turns: list[Turn] = []
        self.calls: list[asyncio.Task[None]] = []

    def come(self, count: int, *, spills: bool = False) -> None:
        """So many calls begin to wait."""
        turns = [Turn("routing", spills=spills) for _ in range(count)]
        self.turns += turns
        self.calls += [asyncio.get_running_loop().create_task(self.gate.enter(turn)) for turn in turns]

    async def gone(self, count: int) -> list[bool]:
        """Wait until so many may go, and no more than these; says of each whether it is a scout."""
        await eventually(lambda: sum(call.done() for call in self.calls) >= count)
        for _ in range(5):
            await asyncio.sleep(0)
        went = [turn.scout for turn, call in zip(self.turns, self.calls, strict=True) if call.done()]
        assert len(went) == count
        return went

    async def end(self) -> None:
        """All calls leave."""
        for call in self.calls:
            call.cancel()
        await asyncio.wait(self.calls)


@pytest.mark.parametrize(
    ("calls", "scouts"),
    [(1, 1), (10, 1), (11, 2), (29, 3), (200, 3)],
)
async def test_as_many_go_as_wake_the_workers_that_are_needed(calls: int, scouts: int) -> None:
    """One worker takes ten, and there are three at most: the others wait."""
    line = Line()
    line.come(calls)
    assert await line.gone(scouts) == [True] * scouts
    assert (line.wakes.granted, line.warmth.under_way, line.warmth.waiting) == (scouts, scouts, calls - scouts)
    await line.end()


async def test_calls_that_come_later_send_another_scout_when_they_are_too_many_for_one_worker() -> None:
    """The eleventh does."""
    line = Line()
    line.come(10)
    await line.gone(1)
    line.come(1)
    await line.gone(2)
    line.come(9)
    await line.gone(2)
    await line.end()


async def test_they_are_let_through_in_order_as_slots_of_awake_workers_come() -> None:
    """No more at once than the workers take, those that are there already counted in."""
    line = Line()
    line.come(25)
    await line.gone(3)
    line.warmth.wake(10)
    await line.gone(10)
    assert [call.done() for call in line.calls] == [True] * 10 + [False] * 15
    line.gate.leave(line.turns[0])
    assert await line.gone(11) == [True] * 3 + [False] * 8
    line.warmth.wake(20)
    await line.gone(21)
    assert line.warmth.under_way == 20
    await line.end()


async def test_who_comes_while_others_wait_does_not_overtake_them() -> None:
    """Though a worker is awake."""
    line = Line()
    line.come(12)
    await line.gone(2)
    line.warmth.wake(4)
    await line.gone(4)
    assert not line.gate.open
    line.come(1)
    line.gate.leave(line.turns[0])
    await line.gone(5)
    assert [call.done() for call in line.calls] == [True] * 5 + [False] * 8
    await line.end()


async def test_when_a_scout_is_back_and_nobody_awake_the_next_one_goes() -> None:
    """Its worker may have died on the way."""
    line = Line()
    line.come(5)
    await line.gone(1)
    line.gate.leave(line.turns[0])
    assert await line.gone(2) == [True, True]
    assert line.wakes.granted == 2
    await eventually(lambda: line.wakes.out[line.warmth.base] == 1)
    await line.end()


async def test_scouts_of_other_processes_are_waited_for_too() -> None:
    """They wake the same workers; when they are back it is seen within a moment."""
    line = Line()
    line.wakes.others = 1
    line.come(3)
    await line.gone(0)
    line.wakes.others = 0
    await line.gone(1)
    await line.end()


async def test_where_waiting_is_in_vain_all_are_told_when_to_come_back() -> None:
    """As when its workers crash, one after the other."""
    line = Line()
    line.come(3)
    await line.gone(1)
    line.warmth.hope = hope(hopeless=True, reason="its workers crash")
    line.warmth.wake(0)
    await eventually(lambda: all(call.done() for call in line.calls))
    for call in line.calls[1:]:
        with pytest.raises(TierCold, match="its workers crash") as caught:
            call.result()
        assert caught.value.retry_after_seconds == 45
        assert "'routing'" in caught.value.message
    assert line.warmth.waiting == 0


async def test_where_there_is_no_capacity_those_go_elsewhere_who_can() -> None:
    """The others wait on: there may be some before their deadline."""
    line = Line()
    line.come(2)
    await line.gone(1)
    line.come(1, spills=True)
    line.warmth.hope = hope(uncertain=True, reason="no capacity")
    line.warmth.wake(0)
    await eventually(line.calls[2].done)
    assert isinstance(line.calls[2].exception(), TierCold)
    assert not line.calls[1].done()
    await line.end()


@pytest.mark.parametrize("outlook", [hope(hopeless=True, reason="it crashes"), hope(uncertain=True)])
async def test_a_scout_is_called_back_while_it_has_no_answer(outlook: Outlook) -> None:
    """What it went for does not come, and another tier would serve it."""
    line = Line()
    line.come(1, spills=True)
    await line.gone(1)
    called_back: list[TierCold] = []
    line.turns[0].recall = called_back.append
    line.warmth.hope = outlook
    line.warmth.wake(0)
    assert [error.code for error in called_back] == ["tier_cold"]
    line.turns[0].recall = None
    line.warmth.wake(0)
    assert len(called_back) == 1
    line.gate.leave(line.turns[0])
    assert line.warmth.under_way == 0


async def test_who_leaves_the_line_takes_no_slot() -> None:
    """Neither while it waits, nor in the moment in which it may go."""
    line = Line()
    line.come(4)
    await line.gone(1)
    line.calls[1].cancel()
    await eventually(lambda: line.warmth.waiting == 2)
    line.warmth.wake(2)
    line.calls[2].cancel()
    with pytest.raises(asyncio.CancelledError):
        await line.calls[2]
    await eventually(line.calls[3].done)
    assert line.warmth.under_way == 2
    await line.end()


async def test_a_claim_that_nobody_uses_is_given_back() -> None:
    """Who asked for it has left, or a worker woke up meanwhile."""
    line = Line()
    line.come(1)
    await asyncio.sleep(0)
    line.calls[0].cancel()
    await eventually(lambda: line.wakes.granted == 1)
    await eventually(lambda: line.wakes.out[line.warmth.base] == 0)
    assert line.warmth.under_way == 0
