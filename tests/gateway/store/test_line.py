"""One connection, fed by hand; with servers in ``test_multiplexed``."""

import asyncio
from typing import cast

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from gateway.store.line import Line

WIRE = b"+a\r\n-ERR b\r\n*2\r\n:1\r\n$2\r\n\r\n\r\n"


class KeptTransport:
    """A transport that keeps what is written, and counts how often it is aborted."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.aborted = 0
        self.buffered_at_most = -1

    def write(self, data: bytes) -> None:
        """As ``asyncio.Transport``."""
        self.written.append(data)

    def set_write_buffer_limits(self, high: int) -> None:
        """As ``asyncio.Transport``."""
        self.buffered_at_most = high

    def abort(self) -> None:
        """As ``asyncio.Transport``."""
        self.aborted += 1


def test_what_is_written_leaves_at_once(line: Line, transport: KeptTransport) -> None:
    """It was gathered before: a loop that gathers, too, would only keep the store waiting.

    With a bound of nothing, asyncio's TLS now and then calls the empty connection full, and no command leaves.
    """
    assert not line.full
    assert transport.buffered_at_most == 1


@pytest.fixture
async def transport() -> KeptTransport:
    return KeptTransport()


@pytest.fixture
async def line(transport: KeptTransport) -> Line:
    made = Line(asyncio.get_running_loop(), "the store at somewhere")
    made.connection_made(cast("asyncio.Transport", transport))
    return made


@pytest.mark.parametrize("cut", range(1, len(WIRE)))
async def test_replies_are_matched_in_order_wherever_they_are_cut(line: Line, cut: int) -> None:
    """Every byte is a border once."""
    futures = [line.ask(b"") for _ in range(3)]
    line.data_received(WIRE[:cut])
    line.data_received(WIRE[cut:])
    assert futures[0].result() == b"a"
    assert isinstance(futures[1].exception(), ResponseError)
    assert futures[2].result() == [1, b"\r\n"]
    assert (line.answered, line.ended) == (3, None)


async def test_a_connection_ends_once(line: Line, transport: KeptTransport) -> None:
    """With its first reason, an error of its own for each who waits, and no reply after that."""
    ends: list[Line] = []
    line.on_end = ends.append
    first, left, second = (line.ask(b"x") for _ in range(3))
    left.cancel()
    line.end(RedisConnectionError("why"))
    line.end(RedisConnectionError("again"))
    line.data_received(b"+late\r\n")
    line.connection_lost(OSError("cut"))
    assert str(first.exception()) == str(second.exception()) == str(line.ended) == "why"
    assert first.exception() is not second.exception()
    assert (ends, transport.aborted) == ([line], 1)
    assert line.gone.done()


async def test_a_lost_connection_names_the_store_and_the_cause(line: Line) -> None:
    """For the person who reads the log."""
    line.connection_lost(OSError("cut"))
    assert str(line.ended) == "The connection to the store at somewhere was lost: cut."


async def test_a_reply_that_nobody_waits_for_ends_the_connection(line: Line) -> None:
    """With its words, where it is an error."""
    line.data_received(b"-ERR max number of clients reached\r\n")
    assert str(line.ended) == (
        "the store at somewhere sent a reply that nobody waits for: ERR max number of clients reached."
    )


async def test_a_full_connection_says_so_and_calls_when_there_is_room(line: Line) -> None:
    """Back-pressure."""
    calls: list[bool] = []
    line.resume_writing()
    line.on_room = lambda: calls.append(line.full)
    line.pause_writing()
    assert line.full
    line.resume_writing()
    assert calls == [False]
