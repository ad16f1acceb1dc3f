"""``gateway.upstream.connection`` and ``gateway.upstream.response``, driven call by call as a loop drives them."""

import asyncio
import socket
from asyncio.trsock import TransportSocket
from dataclasses import dataclass, field

import pytest

from gateway.errors import UpstreamFailed, UpstreamTimeout
from gateway.upstream.connection import BUFFERED_BYTES_MAX, WRITE_BYTES_MAX, Connection
from gateway.upstream.response import Response
from tests.doubles.manual_loop import ManualLoop, RecordingTransport
from tiers.tiermap import Timeouts

TIMEOUTS = Timeouts(connect=1, headers=600, idle=60)
OK = b"HTTP/1.1 200 OK\r\n"
HEAD = b"POST / HTTP/1.1\r\n\r\n"


@dataclass
class RecordingOwner:
    """A pool that only remembers what it was told."""

    ready: list[Connection] = field(default_factory=list)
    gone: list[Connection] = field(default_factory=list)

    def idle(self, connection: Connection) -> None:
        """See ``Owner``."""
        self.ready.append(connection)

    def lost(self, connection: Connection) -> None:
        """See ``Owner``."""
        self.gone.append(connection)


class Bench:
    """One connection between a recording pool and a recording transport."""

    def __init__(self, endpoint: socket.socket | None = None) -> None:
        self.loop = ManualLoop()
        self.owner = RecordingOwner()
        self.transport = RecordingTransport({"socket": TransportSocket(endpoint)} if endpoint else None)
        self.connection = Connection(self.loop.as_loop(), self.owner)
        self.connection.connection_made(self.transport)

    def begin(self, body: bytes = b"") -> Response:
        """Send a request."""
        response = Response(self.loop.as_loop(), self.connection, "h:80", TIMEOUTS, bodyless=False)
        self.connection.begin(response, HEAD, body)
        return response

    def receive(self, data: bytes) -> None:
        """Bytes come from the endpoint."""
        self.connection.data_received(data)


async def waiting(task: "asyncio.Task[object]") -> None:
    """Let a task run until it waits."""
    for _ in range(3):
        await asyncio.sleep(0)
    assert not task.done()


async def test_a_small_request_leaves_in_one_write() -> None:
    bench = Bench()

    bench.begin(b"x" * WRITE_BYTES_MAX)

    assert bench.transport.written == [HEAD + b"x" * WRITE_BYTES_MAX]


async def test_a_large_body_leaves_as_the_endpoint_reads_and_the_answer_may_come_first() -> None:
    bench = Bench()
    bench.connection.pause_writing()
    body = bytes(range(256)) * 1024 + b"end"
    response = bench.begin(body)
    assert bench.transport.written == [HEAD]

    bench.receive(OK + b"content-length: 2\r\n\r\nok")
    await response.head()
    assert await response.read(10) == b"ok"

    bench.connection.resume_writing()
    assert b"".join(bench.transport.written) == HEAD + body
    assert {len(piece) for piece in bench.transport.written[1:-1]} == {WRITE_BYTES_MAX}
    await response.aclose()
    assert bench.owner.ready == [bench.connection]


async def test_a_request_that_is_refused_early_is_not_sent_to_its_end() -> None:
    """So that a write to an endpoint that has closed does not break the connection before its answer is read."""
    bench = Bench()
    bench.connection.pause_writing()
    response = bench.begin(b"x" * 3 * WRITE_BYTES_MAX)

    bench.receive(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\n")
    bench.connection.resume_writing()

    assert bench.transport.written == [HEAD]
    bench.receive(b"big")
    assert await response.read(10) == b"big"
    await response.aclose()
    assert bench.transport.aborted, "half a request was sent: nothing else may follow it"
    assert not bench.owner.ready


async def test_a_connection_with_an_unsent_rest_of_a_request_is_not_used_again() -> None:
    bench = Bench()
    response = bench.begin()
    bench.transport.unsent = 1
    bench.receive(OK + b"content-length: 0\r\n\r\n")

    await response.aclose()

    assert bench.transport.aborted
    assert not bench.owner.ready


@pytest.mark.parametrize("whole", [True, False])
async def test_what_an_endpoint_said_before_a_write_failed_is_still_read(whole: bool) -> None:
    """When a write fails asyncio gives the transport up without reading what came before."""
    refusal = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig"
    near, far = socket.socketpair()
    with near, far:
        bench = Bench(near)
        response = bench.begin(b"x" * 3 * WRITE_BYTES_MAX)
        far.sendall(refusal if whole else refusal[:-1])
        far.shutdown(socket.SHUT_WR)
        bench.connection.connection_lost(BrokenPipeError(32, "Broken pipe"))

    await response.head()
    if whole:
        assert await response.read(10) == b"big"
    else:
        with pytest.raises(UpstreamFailed, match="Broken pipe"):
            await response.read(10)


async def test_writing_stops_when_the_connection_closes() -> None:
    bench = Bench()
    bench.connection.pause_writing()
    bench.begin(b"x" * 3 * WRITE_BYTES_MAX)

    bench.transport.aborted = True
    bench.connection.resume_writing()

    assert bench.transport.written == [HEAD]


async def test_a_slow_reader_stops_the_reading_until_it_took_what_there_is() -> None:
    bench = Bench()
    response = bench.begin()
    bench.receive(OK + b"content-length: 1000000\r\n\r\n")
    bench.receive(b"x" * BUFFERED_BYTES_MAX)
    before = bench.transport.reading
    bench.receive(b"y")
    assert (before, bench.transport.reading) == (True, False)
    bench.receive(b"z")  # a loop may deliver what it had read already

    assert await response.chunk() == b"x" * BUFFERED_BYTES_MAX + b"yz"
    assert [bench.transport.reading] == [True]


async def test_a_connection_that_was_paused_reads_again_before_its_next_request() -> None:
    bench = Bench()
    response = bench.begin()
    bench.receive(OK + b"content-length: %d\r\n\r\n" % (BUFFERED_BYTES_MAX + 1))
    bench.receive(b"x" * (BUFFERED_BYTES_MAX + 1))
    assert not bench.transport.reading

    await response.aclose()

    assert bench.owner.ready == [bench.connection]
    assert bench.transport.reading


async def test_what_was_paused_and_then_broke_is_still_read() -> None:
    bench = Bench()
    response = bench.begin()
    bench.receive(OK + b"\r\n" + b"x" * (BUFFERED_BYTES_MAX + 1))
    bench.transport.aborted = True

    assert len(await response.chunk()) == BUFFERED_BYTES_MAX + 1
    assert not bench.transport.reading, "a transport that is closing is left alone"


async def test_what_one_reader_has_not_taken_yet_is_not_lost_to_the_next_request() -> None:
    """The next request's answer comes before the first reader reads: each gets its own."""
    bench = Bench()
    first = bench.begin()
    bench.receive(OK + b"x-id: 1\r\ncontent-length: 3\r\n\r\none")
    await first.aclose()
    second = bench.begin()
    bench.receive(OK + b"x-id: 2\r\ncontent-length: 3\r\n\r\ntwo")
    await second.head()
    await first.head()

    assert (first.headers[0], await first.chunk()) == ((b"x-id", b"1"), b"one")
    assert (second.headers[0], await second.chunk()) == ((b"x-id", b"2"), b"two")
    assert await first.chunk() == b""


async def test_bytes_that_nobody_asked_for_close_the_connection() -> None:
    bench = Bench()

    bench.receive(OK)

    assert bench.transport.aborted


@pytest.mark.parametrize("together", [True, False])
async def test_a_connection_with_surplus_bytes_is_not_used_again(together: bool) -> None:
    bench = Bench()
    response = bench.begin()
    bench.receive(OK + b"content-length: 2\r\n\r\nok" + (b"surplus" if together else b""))
    if not together:
        bench.receive(b"surplus")
    await response.head()

    assert await response.read(10) == b"ok"
    await response.aclose()
    assert bench.transport.aborted
    assert not bench.owner.ready


async def test_an_endpoint_that_closes_after_its_answer_is_not_used_again() -> None:
    bench = Bench()
    response = bench.begin()
    bench.receive(OK + b"content-length: 2\r\n\r\nok")
    bench.connection.eof_received()
    bench.connection.connection_lost(None)
    await response.head()

    assert await response.read(10) == b"ok"
    await response.aclose()
    assert not bench.owner.ready
    assert bench.owner.gone == [bench.connection]


async def test_closing_twice_gives_the_connection_back_once() -> None:
    bench = Bench()
    response = bench.begin()
    bench.receive(OK + b"content-length: 0\r\n\r\n")

    await response.aclose()
    await response.aclose()

    assert bench.owner.ready == [bench.connection]


async def test_closing_before_the_end_aborts_and_wakes_whoever_still_reads() -> None:
    bench = Bench()
    response = bench.begin()
    bench.receive(OK + b"\r\n")
    await response.head()
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(_error_of(response))
        await waiting(reading)
        await response.aclose()

    assert "closed before it was complete" in reading.result()
    assert bench.transport.aborted


async def test_what_came_before_an_error_is_read_before_it() -> None:
    bench = Bench()
    response = bench.begin()
    bench.receive(OK + b"content-length: 9\r\n\r\nhello")
    bench.connection.connection_lost(ConnectionResetError(104, "Connection reset by peer"))
    await response.head()

    assert await response.chunk() == b"hello"
    with pytest.raises(UpstreamFailed, match=r"h:80 broke the connection .*Connection reset by peer"):
        await response.chunk()


@pytest.mark.parametrize("came", [b"", b"H"])
async def test_only_an_answer_of_which_nothing_came_is_unanswered(came: bytes) -> None:
    for ends_in_order in (True, False):
        bench = Bench()
        response = bench.begin()
        if came:
            bench.receive(came)
        if ends_in_order:
            bench.connection.eof_received()
        bench.connection.connection_lost(None if ends_in_order else ConnectionResetError())
        assert response.unanswered is (not came)


async def test_a_request_on_a_connection_that_is_gone_fails_as_unanswered() -> None:
    bench = Bench()
    bench.connection.connection_lost(None)

    response = bench.begin()

    assert response.unanswered
    with pytest.raises(UpstreamFailed):
        await response.head()


async def test_read_takes_all_and_refuses_more_than_its_limit() -> None:
    for limit in (6, 7):
        bench = Bench()
        response = bench.begin()
        bench.receive(OK + b"content-length: 7\r\n\r\nabcd")
        await response.head()
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(_read_or_error(response, limit))
            await waiting(reading)
            bench.receive(b"efg")
        assert reading.result() == (b"abcdefg" if limit == 7 else b"more than 6 bytes")


async def test_read_refuses_a_whole_answer_above_its_limit_too() -> None:
    bench = Bench()
    response = bench.begin()
    bench.receive(OK + b"content-length: 7\r\n\r\nabcdefg")

    with pytest.raises(UpstreamFailed, match="more than 6 bytes"):
        await response.read(6)


async def test_silence_before_the_head_ends_at_first_byte_whatever_else_comes() -> None:
    bench = Bench()
    response = bench.begin()
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(_head_error(response))
        await waiting(sending)
        bench.loop.advance(400)
        bench.receive(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        bench.loop.advance(199)
        await waiting(sending)
        bench.loop.advance(1)

    error = sending.result()
    assert isinstance(error, UpstreamTimeout)
    assert "h:80 did not begin its answer within 600 s" in error.message
    assert bench.transport.aborted
    assert not response.unanswered, "a time limit is no reason to send again"


async def test_silence_within_an_answer_ends_at_idle_counted_from_the_last_bytes() -> None:
    bench = Bench()
    response = bench.begin()
    bench.receive(OK + b"\r\n")
    await response.head()
    for _ in range(3):
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(response.chunk())
            await waiting(reading)
            bench.loop.advance(59)
            await waiting(reading)
            bench.receive(b"x")
        assert reading.result() == b"x"
    async with asyncio.TaskGroup() as tasks:
        failing = tasks.create_task(_error_of(response))
        await waiting(failing)
        bench.loop.advance(60)

    assert "sent nothing for 60 s" in failing.result()
    assert bench.transport.aborted


async def test_a_reader_that_is_in_a_hurry_waits_less_and_never_longer() -> None:
    """A stream of which only the end is missing is not waited for as long as one in its middle."""
    bench = Bench()
    response = bench.begin()
    bench.receive(OK + b"\r\n")
    await response.head()
    response.hurry(600)
    response.hurry(5)
    response.hurry(7)
    async with asyncio.TaskGroup() as tasks:
        failing = tasks.create_task(_error_of(response))
        await waiting(failing)
        bench.loop.advance(5)

    assert "sent nothing for 5 s" in failing.result()


async def test_a_reader_that_is_slow_itself_is_no_silence() -> None:
    bench = Bench()
    response = bench.begin()
    bench.receive(OK + b"content-length: 3\r\n\r\na")
    await response.head()
    assert await response.chunk() == b"a"
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(response.chunk())
        await waiting(reading)
        bench.receive(b"b")
        bench.loop.advance(1_000)  # due before the reader ran
    assert reading.result() == b"b"

    bench.loop.advance(1_000)
    bench.receive(b"c")

    assert await response.chunk() == b"c"
    assert not bench.transport.aborted


async def test_a_stream_arms_few_timers() -> None:
    """One timer serves many waits; it is moved forward only when it fires."""
    bench = Bench()
    response = bench.begin()
    bench.receive(OK + b"\r\n")
    await response.head()
    for _ in range(1_000):
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(response.chunk())
            await asyncio.sleep(0)
            bench.loop.advance(0.12)
            bench.receive(b"x")
        assert reading.result() == b"x"

    assert bench.loop.armed <= 4
    assert len(bench.loop.waiting) == 1
    bench.connection.connection_lost(None)
    assert bench.loop.waiting == []


async def test_an_earlier_limit_moves_the_timer() -> None:
    bench = Bench()
    response = bench.begin()
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(response.head())
        await waiting(sending)
        assert bench.loop.waiting == [600]
        bench.receive(OK + b"\r\n")
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(response.chunk())
        await waiting(reading)
        assert bench.loop.waiting == [60]
        bench.receive(b"x")
    await response.aclose()
    bench.loop.advance(1_000)
    assert bench.loop.waiting == [], "an idle connection keeps no timer"


async def test_gone_waits_until_the_loop_has_closed_the_connection() -> None:
    bench = Bench()
    bench.connection.abort()
    async with asyncio.TaskGroup() as tasks:
        going = tasks.create_task(bench.connection.gone())
        await waiting(going)
        bench.connection.connection_lost(None)

    await bench.connection.gone()


async def _error_of(response: Response) -> str:
    with pytest.raises(UpstreamFailed) as caught:
        await response.chunk()
    return caught.value.message


async def _head_error(response: Response) -> UpstreamFailed:
    with pytest.raises(UpstreamFailed) as caught:
        await response.head()
    return caught.value


async def _read_or_error(response: Response, limit: int) -> bytes:
    try:
        return await response.read(limit)
    except UpstreamFailed as error:
        return b"more than 6 bytes" if "more than 6 bytes" in error.message else error.message.encode()
