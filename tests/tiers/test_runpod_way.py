"""Which way a request goes to a queue of Runpod."""

import pytest

from tiers.runpod_way import Speed, answered, expected_seconds, misjudged, streamed, way

FAST = Speed(first=1.0, token=0.01)


def test_a_stream_is_awaited_to_its_first_byte_and_any_other_answer_to_its_end() -> None:
    assert expected_seconds(FAST, tokens=1000, stream=True, ahead=0.0) == 1.0
    assert expected_seconds(FAST, tokens=1000, stream=False, ahead=0.0) == 11.0


def test_jobs_that_wait_before_it_are_awaited_whole() -> None:
    assert expected_seconds(FAST, tokens=1000, stream=True, ahead=2.0) == 23.0


@pytest.mark.parametrize(
    ("tokens", "stream", "ahead", "room", "expected"),
    [
        (1000, False, 0.0, True, "route"),
        (8399, False, 0.0, True, "route"),
        (8400, False, 0.0, True, "job"),
        (8400, True, 0.0, True, "route"),
        (1000, False, 7.0, True, "job"),
        (1, True, 0.0, False, "job"),
    ],
)
def test_the_route_is_for_what_ends_before_the_limit(
    tokens: int, expected: str, *, stream: bool, ahead: float, room: bool
) -> None:
    assert way(FAST, tokens=tokens, stream=stream, ahead=ahead, room=room, limit=85.0) == expected


def test_with_nothing_seen_answers_of_usual_length_take_the_route() -> None:
    assert way(Speed(), tokens=1600, stream=False, ahead=0.0, room=True, limit=85.0) == "route"
    assert way(Speed(), tokens=4096, stream=False, ahead=0.0, room=True, limit=85.0) == "job"


def test_what_is_seen_moves_what_is_believed() -> None:
    assert streamed(FAST, 2.0).first == pytest.approx(1.2)
    assert answered(FAST, 6.0, 100).token == pytest.approx(0.02)
    assert answered(FAST, 6.0, 0) == FAST


def test_short_answers_tell_little_of_the_speed() -> None:
    """One token in half a second is no half a second for each."""
    assert answered(FAST, 0.5, 1).token == pytest.approx(0.01098)


def test_after_a_cut_by_the_edge_it_counts_as_half_as_fast() -> None:
    assert misjudged(FAST) == Speed(first=2.0, token=0.02)
