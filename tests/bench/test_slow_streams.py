import socket

import pytest

from bench.answer import Answer
from bench.slow_streams import Stream, complete, delays


def stream(*arrivals: float) -> Stream:
    return Stream(connection=socket.socket(), arrivals=list(arrivals))


def test_a_steady_stream_has_no_delay_wherever_it_begins() -> None:
    with (it := stream(7.5, 8.5, 9.5)).connection:
        assert delays(it, 1.0) == [0, 0, 0]


def test_an_event_that_was_held_back_is_late_by_as_much() -> None:
    with (it := stream(7.0, 8.25, 9.0)).connection:
        assert delays(it, 1.0) == [0, 0.25, 0]


def test_a_late_beginning_does_not_hide_behind_itself() -> None:
    with (it := stream(7.4, 8.0, 9.0)).connection:
        assert delays(it, 1.0) == pytest.approx([0.4, 0, 0])


def test_a_stream_is_complete_with_all_its_events_alone() -> None:
    answer = Answer()
    answer.feed(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + b"data: x\n\n" * 4)
    with socket.socket() as connection:
        cut = Stream(connection=connection, answer=answer)
        assert not complete(cut, 2)
        answer.feed(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        assert complete(cut, 2)
        assert not complete(cut, 3)
