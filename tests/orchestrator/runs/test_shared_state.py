"""Steps side by side: each is kept with its own changes, and without those of who has not ended."""

import json
from typing import Any

import pytest
from pydantic import JsonValue

from orchestrator.errors import ValueNotKept
from orchestrator.runs.shared_state import SharedState


class Live:
    """A state that steps change, and a clock by which looking takes ``seconds``."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {"log": [], "n": 0}
        self.looks = 0
        self.now = self.seconds = 0.0
        self.refuses = False

    def look(self) -> JsonValue:
        """As ``SharedState`` asks."""
        self.looks += 1
        self.now += self.seconds
        if self.refuses:
            raise ValueNotKept("not now")
        kept: JsonValue = json.loads(json.dumps(self.state))
        return kept

    def clock(self) -> float:
        """As ``SharedState`` asks."""
        return self.now

    def shared(self) -> SharedState:
        """What watches it."""
        return SharedState(self.look, clock=self.clock)

    def turn(self, shared: SharedState, step: str) -> None:
        """A step on the loop writes its name, and counts."""
        shared.before_turn()
        self.state["log"].append(step)
        self.state["n"] += 1
        shared.after_turn(step)


def test_one_after_the_other_is_seen_once_each() -> None:
    live = Live()
    shared = live.shared()
    for step in ("a", "b"):
        shared.opened(step, blocking=False)
        live.turn(shared, step)
        live.turn(shared, step)
        assert shared.after(step) == live.state
    assert live.looks == 3


def test_what_is_under_way_is_not_in_what_is_kept() -> None:
    live = Live()
    shared = live.shared()
    shared.opened("a", blocking=False)
    live.turn(shared, "a")
    shared.opened("b", blocking=False)
    live.turn(shared, "b")
    live.turn(shared, "a")
    live.turn(shared, "b")
    assert shared.after("b") == {"log": ["b", "b"], "n": 2}
    live.turn(shared, "a")
    assert sorted(shared.after("a")["log"]) == ["a", "a", "a", "b", "b"]  # type: ignore[call-overload, index, arg-type]


def test_what_changes_between_turns_is_the_work_of_threads() -> None:
    live = Live()
    shared = live.shared()
    shared.opened("thread", blocking=True)
    shared.opened("loop", blocking=False)
    live.state["log"].append("thread")
    live.turn(shared, "loop")
    live.state["log"].append("thread")
    shared.before_turn()
    assert shared.after("loop") == {"log": ["loop"], "n": 1}
    assert shared.after("thread") == {"log": ["thread", "loop", "thread"], "n": 1}


def test_a_thread_ends_with_its_own() -> None:
    live = Live()
    shared = live.shared()
    shared.opened("loop", blocking=False)
    live.turn(shared, "loop")
    shared.opened("thread", blocking=True)
    live.state["log"].append("thread")
    live.turn(shared, "loop")
    assert shared.after("thread") == {"log": ["thread"], "n": 0}


def test_what_failed_is_never_kept() -> None:
    live = Live()
    shared = live.shared()
    shared.opened("a", blocking=False)
    shared.opened("b", blocking=False)
    live.turn(shared, "b")
    shared.failed("b")
    live.turn(shared, "a")
    assert shared.after("a") == {"log": ["a"], "n": 1}
    shared.opened("c", blocking=False)
    live.turn(shared, "c")
    assert shared.after("c") == {"log": ["a", "c"], "n": 2}
    shared.failed("unknown")


def test_what_the_loser_of_a_race_did_stays() -> None:
    live = Live()
    shared = live.shared()
    shared.opened("a", blocking=False)
    shared.opened("b", blocking=False)
    live.turn(shared, "b")
    live.turn(shared, "a")
    shared.abandoned("b")
    assert shared.after("a")["n"] == 2  # type: ignore[call-overload, index]
    shared.abandoned("unknown")


def test_looking_takes_a_small_part_of_the_time() -> None:
    live = Live()
    shared = live.shared()
    shared.opened("a", blocking=False)
    shared.opened("b", blocking=False)
    live.seconds = 0.01
    before = live.looks
    for _ in range(1000):
        live.now += 0.001
        live.turn(shared, "a")
    assert 25 <= live.looks - before <= 33


def test_a_state_that_cannot_be_kept_just_now_is_looked_at_again() -> None:
    live = Live()
    shared = live.shared()
    shared.opened("a", blocking=False)
    shared.opened("b", blocking=False)
    live.refuses = True
    live.turn(shared, "a")
    with pytest.raises(ValueNotKept):
        shared.after("a")
    live.refuses = False
    assert shared.after("a") == {"log": ["a"], "n": 1}
