"""Kept steps are passed in the order in which they ended, whatever the order in which they begin."""

import asyncio

from orchestrator.runs.replay import Execution, Replay
from orchestrator.runs.run import Step


def step(key: str, arguments: str = "") -> Step:
    method, _, number = key.partition("#")
    return Step(
        method=method, number=int(number), output=None, state={}, started_unix=0.0, seconds=0.0, arguments=arguments
    )


def replay_of(*steps: Step, patience_seconds: float = 5.0) -> tuple[Replay, list[str]]:
    """A replay, and what happened in it."""
    log: list[str] = []
    return Replay(steps, at_end=lambda: log.append("end"), patience_seconds=patience_seconds), log


async def go_through(replay: Replay, execution: Execution, log: list[str]) -> None:
    if execution.done is None:
        await replay.end()
    else:
        await replay.turn(execution.done)
        await asyncio.sleep(0)
        replay.passed(execution.done)
    log.append(execution.key)


async def test_steps_pass_in_the_order_in_which_they_are_kept() -> None:
    replay, log = replay_of(step("c#1"), step("a#1"), step("b#1"))
    executions = [replay.take(name, "") for name in ("new", "a", "b", "c")]
    await asyncio.gather(*(go_through(replay, execution, log) for execution in executions))
    assert log == ["c#1", "a#1", "end", "b#1", "new#1"]
    assert replay.over


async def test_whoever_passes_goes_on_before_the_next_wakes_up() -> None:
    """What it looks for next, its listeners, is found in the order of the steps' ends."""
    replay, log = replay_of(step("a#1"), step("b#1"))
    first, second = replay.take("a", ""), replay.take("b", "")
    waiting = asyncio.ensure_future(go_through(replay, second, log))
    await asyncio.sleep(0)
    assert first.done is not None
    replay.passed(first.done)
    log.append("listeners of a")
    await waiting
    assert log == ["listeners of a", "end", "b#1"]


async def test_nothing_kept_is_over_at_once() -> None:
    replay, log = replay_of()
    assert replay.over
    await replay.end()
    assert log == []


async def test_a_loop_takes_its_steps_one_after_the_other_and_then_new_ones() -> None:
    replay, _ = replay_of(step("draft#1", "x"), step("draft#2", "y"))
    assert [replay.take("draft", arguments).number for arguments in ("x", "y", "z")] == [1, 2, 3]


async def test_a_step_is_known_by_its_arguments_and_else_taken_in_turn() -> None:
    replay, _ = replay_of(step("note#1", "x"), step("note#2", "y"), step("note#3", "y"))
    taken = [replay.take("note", arguments) for arguments in ("y", "other", "y", "more")]
    assert [(each.number, each.done) for each in taken] == [(2, 1), (1, 0), (3, 2), (4, None)]


async def test_a_step_that_asked_a_person_has_two_places() -> None:
    replay, _ = replay_of(step("review?#1"), step("a#1"), step("review#1"), step("review?#2"))
    first, second = replay.take("review", ""), replay.take("review", "")
    assert (first.asked, first.done) == (0, 2)
    assert (second.asked, second.done) == (3, None)


async def test_what_the_flow_does_not_come_to_any_more_holds_up_nothing_for_long() -> None:
    replay, log = replay_of(step("gone#1"), step("a#1"), step("gone#2"), patience_seconds=0.01)
    executions = [replay.take("a", ""), replay.take("new", "")]
    await asyncio.gather(*(go_through(replay, execution, log) for execution in executions))
    assert log == ["a#1", "end", "new#1"]


async def test_a_step_that_has_begun_is_waited_for() -> None:
    replay, log = replay_of(step("slow#1"), step("a#1"), patience_seconds=0.005)
    slow, other = replay.take("slow", ""), replay.take("a", "")
    waiting = asyncio.ensure_future(go_through(replay, other, log))
    await asyncio.sleep(0.03)
    assert log == []
    await go_through(replay, slow, log)
    await waiting
    assert log == ["slow#1", "end", "a#1"]


async def test_passing_twice_is_passing() -> None:
    replay, log = replay_of(step("a#1"))
    replay.passed(0)
    replay.passed(0)
    assert log == ["end"]
