"""Whose turn it is."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiers.fairness import FairLine


def served(line: FairLine) -> list[str]:
    """Everybody in the order in which they are served."""
    order = []
    while (place := line.first) is not None:
        order.append(place.flow)
        line.leave(place, served=True)
    return order


def test_flows_take_turns_however_many_of_one_wait() -> None:
    line = FairLine()
    for flow in ["noisy"] * 5 + ["quiet"] * 2:
        line.join(flow)
    assert served(line) == ["noisy", "quiet", "noisy", "quiet", "noisy", "noisy", "noisy"]


def test_who_comes_anew_waits_for_one_turn_of_the_others() -> None:
    line = FairLine()
    for _ in range(100):
        line.join("noisy")
    for _ in range(10):
        place = line.first
        assert place is not None
        line.leave(place, served=True)
    line.join("quiet")
    assert "quiet" in served(line)[:2]


def test_a_higher_priority_goes_first_and_keeps_its_own_order() -> None:
    line = FairLine()
    line.join("a")
    line.join("urgent", 5)
    line.join("b", -1)
    line.join("urgent", 5)
    assert served(line) == ["urgent", "urgent", "a", "b"]


def test_who_steps_aside_gets_its_place_back() -> None:
    line = FairLine()
    first = line.join("a")
    line.join("b")
    line.leave(first, served=False)
    assert line.first is not first
    line.rejoin(first)
    assert line.first is first


def test_a_place_is_left_once() -> None:
    line = FairLine()
    one, other = line.join("a"), line.join("a")
    line.leave(one, served=False)
    with pytest.raises(ValueError, match="nobody has this place"):
        line.leave(one, served=False)
    line.leave(other, served=True)
    with pytest.raises(ValueError, match="nobody has this place"):
        line.leave(other, served=True)
    assert len(line) == 0
    assert line.first is None


def test_from_a_full_line_the_last_of_the_greediest_goes() -> None:
    line = FairLine()
    noisy = [line.join("noisy") for _ in range(3)]
    line.join("quiet")
    assert line.displaced_by("quiet") is noisy[-1]
    assert line.displaced_by("new") is noisy[-1]
    assert line.displaced_by("noisy") is None


def test_nobody_goes_for_one_who_would_be_as_greedy() -> None:
    line = FairLine()
    assert line.displaced_by("a") is None
    line.join("a")
    assert line.displaced_by("b") is None
    line.join("a")
    assert line.displaced_by("b") is not None
    line.join("b")
    assert line.displaced_by("b") is None


def test_a_lower_priority_goes_for_a_higher_one_and_never_the_other_way_round() -> None:
    line = FairLine()
    low = line.join("a")
    urgent = [line.join("urgent", 5) for _ in range(3)]
    assert line.displaced_by("b", 1) is low
    assert line.displaced_by("b", 0) is None
    assert line.displaced_by("b", 5) is low
    line.leave(low, served=False)
    assert line.displaced_by("b", 5) is urgent[-1]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=60))
def test_no_flow_is_ever_two_turns_ahead_of_another_that_waits(flows: list[str]) -> None:
    """While both have requests waiting, and each flow's requests go in the order in which they came."""
    line = FairLine()
    places = [line.join(flow) for flow in flows]
    left, turns = Counter(flows), Counter[str]()
    order = []
    while (place := line.first) is not None:
        line.leave(place, served=True)
        order.append(place)
        left[place.flow] -= 1
        turns[place.flow] += 1
        waiting = [flow for flow in left if left[flow]]
        assert all(turns[place.flow] <= turns[flow] + 1 for flow in waiting)
    for flow in set(flows):
        assert [one for one in order if one.flow == flow] == [one for one in places if one.flow == flow]
