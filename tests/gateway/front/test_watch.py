"""What a guarded connection waits for. On a whole connection: ``test_guarded.py``."""

import pytest

from gateway.front.watch import SPARE_SECONDS, STALL_SECONDS, TICK_SECONDS, Watch
from gateway.wire.pace import BODY_SECONDS, HEAD_SECONDS
from tests.gateway.front.lines import FrontLoop, FrontTransport


class Bench:
    """A watch, and how often it found that something is late."""

    def __init__(self) -> None:
        self.loop = FrontLoop()
        self.late = 0
        self.watch = Watch(self.loop.as_loop(), self._count)
        self.watch.transport = self.transport = FrontTransport()

    def _count(self) -> None:
        self.late += 1


def test_nothing_is_looked_at_while_there_is_nothing_to_wait_for() -> None:
    bench = Bench()
    bench.watch.sent()
    assert bench.loop.waiting == []
    bench.watch.await_head()
    bench.watch.await_body()
    bench.watch.rest()
    bench.loop.advance(TICK_SECONDS)
    assert bench.loop.waiting == []
    assert bench.late == 0


def test_a_head_has_its_time_from_its_first_byte_on() -> None:
    bench = Bench()
    bench.watch.await_head()
    bench.loop.advance(HEAD_SECONDS - TICK_SECONDS)
    bench.watch.await_head()
    assert bench.late == 0
    bench.loop.advance(TICK_SECONDS)
    assert bench.late == 1


@pytest.mark.parametrize("trickles", [False, True])
def test_a_body_has_the_time_of_its_pace_and_some_more(trickles: bool) -> None:
    bench = Bench()
    bench.watch.await_head()
    bench.watch.await_body()
    for _ in range(int(BODY_SECONDS + SPARE_SECONDS) - 1):
        bench.loop.advance(1)
        if trickles:
            bench.watch.take(1)
    assert bench.late == 0
    bench.loop.advance(1 + TICK_SECONDS)
    assert bench.late == 1


def test_what_the_gateway_did_not_read_begins_anew() -> None:
    bench = Bench()
    bench.watch.await_head()
    bench.loop.advance(HEAD_SECONDS)
    bench.watch.again()
    bench.loop.advance(HEAD_SECONDS - TICK_SECONDS)
    assert bench.late == 1
    bench.loop.advance(TICK_SECONDS)
    assert bench.late == 2


def test_an_answer_must_be_taken() -> None:
    """Any byte of it gives time again; what was taken whole needs none."""
    bench = Bench()
    bench.transport.unsent = 10
    bench.watch.sent()
    bench.loop.advance(STALL_SECONDS - TICK_SECONDS)
    bench.transport.unsent = 9
    bench.loop.advance(STALL_SECONDS)
    assert not bench.transport.aborted
    bench.loop.advance(TICK_SECONDS)
    aborted = bench.transport.aborted
    assert aborted


def test_an_answer_that_was_taken_whole_needs_no_time() -> None:
    bench = Bench()
    bench.transport.unsent = 10
    bench.watch.sent()
    bench.transport.unsent = 0
    bench.loop.advance(TICK_SECONDS)
    assert bench.loop.waiting == []


def test_at_the_end_nobody_is_called_any_more() -> None:
    bench = Bench()
    bench.watch.await_head()
    bench.watch.end()
    bench.watch.await_head()
    bench.loop.advance(2 * HEAD_SECONDS)
    assert bench.late == 0
