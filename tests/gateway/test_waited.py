"""An answer says where its time went before it began."""

from typing import Any

import pytest

from gateway.exchange import Attempt
from gateway.journey import Journey
from gateway.waited import waited_comment, waited_headers
from tests.gateway.samples import attempt, exchange

START = 1000.0
"""When the samples' request was received."""


def after(attempts: list[Attempt], **fields: Any) -> dict[bytes, bytes]:  # noqa: ANN401 - any of Exchange's fields
    return dict(waited_headers(exchange(attempts=attempts, **fields)))


def journey(**fields: Any) -> Journey:  # noqa: ANN401 - any of Journey's fields
    made = Journey()
    for name, value in fields.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize("attempts", [[], [attempt(sent_at=START)], [attempt(journey=journey(cold=False))]], ids=len)
def test_an_answer_that_waited_for_nothing_says_nothing(attempts: list[Attempt]) -> None:
    assert after(attempts) == {}
    assert waited_comment(exchange(attempts=attempts)) == b""


def test_it_says_how_long_it_waited_for_what() -> None:
    """A slot, a worker to wake, a worker at Runpod."""
    tried = attempt(queued_seconds=0.25, sent_at=START + 8.25, journey=journey(cold=True, delay_seconds=1.5))
    told = b"queue=0.250, hold=8.000, worker=1.500"
    assert after([tried], held_seconds=8.0) == {b"x-tiergate-waited": told}
    assert waited_comment(exchange(attempts=[tried], held_seconds=8.0)) == b": waited " + told + b"\n\n"


def test_where_runpod_does_not_say_who_found_nobody_awake_waited_until_its_answer_began() -> None:
    tried = attempt(sent_at=START, first_byte_at=START + 7.0, journey=journey(cold=True))
    assert after([tried]) == {b"x-tiergate-waited": b"worker=7.000"}
    assert after([attempt(sent_at=START, first_byte_at=START + 7.0, journey=journey(cold=False))]) == {}


def test_what_earlier_tries_took_is_told_and_counted_once() -> None:
    tries = [attempt(queued_seconds=0.5, sent_at=START + 0.5), attempt(queued_seconds=1.0, sent_at=START + 4.5)]
    assert after(tries, held_seconds=1.0) == {b"x-tiergate-waited": b"queue=1.500, hold=1.000, tries=2.000"}
    assert after([*tries, attempt()], held_seconds=1.0) == {b"x-tiergate-waited": b"queue=1.500, hold=1.000"}
