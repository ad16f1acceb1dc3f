"""Uvicorn's protocol with bounds, driven call by call; with real sockets: ``test_smuggling.py``."""

import asyncio
import json
from typing import cast

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from gateway.front.door import Door
from gateway.front.guarded import AHEAD_BYTES_MAX, FRAMING_BYTES_MAX, PIECE_BYTES, GuardedProtocol
from gateway.front.head import HEAD_BYTES_MAX
from gateway.front.watch import SPARE_SECONDS, STALL_SECONDS, TICK_SECONDS
from gateway.wire.pace import BODY_BYTES_PER_SECOND_MIN, BODY_SECONDS, HEAD_SECONDS
from tests.gateway.front.lines import FrontLoop, FrontTransport

HOST = b"host: a\r\n"
GET = b"GET /get HTTP/1.1\r\n" + HOST + b"\r\n"
READ = b"POST /read HTTP/1.1\r\n" + HOST
CHUNKED = READ + b"transfer-encoding: chunked\r\n\r\n"
IDLE_SECONDS = 75


class ScriptedApplication:
    """Answers by path: ``/read`` with the body's size, ``/held`` when released, ``/early`` before the body, others so.

    ``/broken`` sends the head of an answer and then waits for ever.
    """

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.left: list[str] = []
        self.headers: list[tuple[bytes, bytes]] = []
        self.release = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        path = scope["path"]
        self.begun.append(path)
        size = 0
        if path == "/held":
            await self.release.wait()
        if path == "/read":
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    self.left.append(path)
                    return
                size += len(message["body"])
                more = message["more_body"]
        self.headers = scope["headers"]
        body = str(size).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        if path == "/broken":
            await asyncio.Event().wait()
        await send({"type": "http.response.body", "body": body})


class Bench:
    """One guarded connection with a recording transport."""

    def __init__(self) -> None:
        self.loop = FrontLoop()
        self.application = ScriptedApplication()
        self.transport = FrontTransport()
        self.state = ServerState()
        config = uvicorn.Config(
            self.application, log_config=None, timeout_keep_alive=IDLE_SECONDS, ws="none", lifespan="off"
        )
        self.connection = GuardedProtocol(
            Door(), config=config, server_state=self.state, app_state={}, loop=self.loop.as_loop()
        )
        self.connection.connection_made(self.transport)

    async def receive(self, *pieces: bytes) -> None:
        """Bytes come from the client, and what they cause happens; they are lost once the connection is shown out."""
        for piece in pieces:
            if self.transport.protocol is None:
                self.connection.data_received(piece)
            await self.settle()

    async def settle(self) -> None:
        """Let tasks run until they wait."""
        for _ in range(6):
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        """Time goes by."""
        self.loop.advance(seconds)
        await self.settle()

    @property
    def statuses(self) -> list[int]:
        """Of all answers."""
        return [int(one[9:12]) for one in self.transport.written if one.startswith(b"HTTP/1.1 ")]

    @property
    def code(self) -> str:
        """Of the last answer's error."""
        return str(json.loads(self.transport.written[-1].split(b"\r\n\r\n")[1])["error"]["code"])

    async def stop(self) -> None:
        """End what still runs."""
        tasks = cast("set[asyncio.Task[None]]", set(self.state.tasks))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_requests_are_served_and_leave_nothing_to_wait_for() -> None:
    bench = Bench()
    await bench.receive(GET, CHUNKED + b"2\r\nhi\r\n0\r\n\r\n", READ + b"content-length: 3\r\n\r\nabc" + GET)
    assert bench.statuses == [200] * 4
    await bench.advance(TICK_SECONDS)
    assert bench.loop.waiting == [IDLE_SECONDS - TICK_SECONDS]  # uvicorn's own timer
    await bench.advance(IDLE_SECONDS)
    assert bench.transport.closed


async def test_a_head_must_be_whole_in_time() -> None:
    """However steadily its bytes come."""
    bench = Bench()
    for at in range(int(HEAD_SECONDS)):
        assert bench.statuses == []
        await bench.receive(GET[at : at + 1])
        await bench.advance(1)
    assert (bench.statuses, bench.code) == ([408], "request_too_slow")
    assert bench.state.connections == set()


async def test_line_breaks_before_a_head_are_part_of_it() -> None:
    bench = Bench()
    for _ in range(int(HEAD_SECONDS)):
        await bench.receive(b"\r\n")
        await bench.advance(1)
    assert bench.statuses == [408]


async def test_a_second_head_has_its_own_time() -> None:
    bench = Bench()
    await bench.receive(GET + GET[:5])
    await bench.advance(HEAD_SECONDS - TICK_SECONDS)
    await bench.receive(GET[5:] + GET[:5])
    await bench.advance(HEAD_SECONDS - TICK_SECONDS)
    assert bench.statuses == [200] * 2
    await bench.advance(2 * TICK_SECONDS)
    assert bench.statuses == [200, 200, 408]


async def test_a_body_must_come_in_time_and_whoever_waits_for_it_is_told() -> None:
    """A little later than the application itself would say so."""
    bench = Bench()
    await bench.receive(READ + b"content-length: 100\r\n\r\n")
    for _ in range(int(BODY_SECONDS + SPARE_SECONDS)):
        assert bench.statuses == []
        await bench.receive(b"x")
        await bench.advance(1)
    await bench.advance(1)
    assert (bench.statuses, bench.code) == ([408], "request_too_slow")
    assert bench.application.left == ["/read"]


async def test_a_large_body_may_take_as_long_as_its_size_allows() -> None:
    bench = Bench()
    await bench.receive(READ + b"content-length: %d\r\n\r\n" % (120 * BODY_BYTES_PER_SECOND_MIN))
    for _ in range(120):
        await bench.receive(b"x" * BODY_BYTES_PER_SECOND_MIN)
        await bench.advance(1)
    assert bench.statuses == [200]


async def test_a_body_that_nobody_waits_for_must_come_in_time_too() -> None:
    """Its request is answered already: the connection just ends."""
    bench = Bench()
    await bench.receive(b"POST /early HTTP/1.1\r\n" + HOST + b"content-length: 100\r\n\r\n")
    assert bench.statuses == [200]
    for _ in range(int(BODY_SECONDS + SPARE_SECONDS) + 1):
        await bench.receive(b"x")
        await bench.advance(1)
    assert bench.statuses == [200]
    assert bench.transport.closed


async def test_a_client_whose_bytes_are_not_read_has_time() -> None:
    """What it sent ahead waits for the answer of the first."""
    bench = Bench()
    held = GET.replace(b"/get", b"/held")
    await bench.receive(held + GET + GET[:5], GET[5:] + GET[:5])
    await bench.advance(10 * HEAD_SECONDS)
    assert bench.statuses == []
    bench.application.release.set()
    await bench.settle()
    assert bench.statuses == [200] * 3
    await bench.advance(HEAD_SECONDS + TICK_SECONDS)
    assert bench.statuses == [200] * 3 + [408]


async def test_what_is_sent_ahead_is_bounded() -> None:
    """Requests wait as bytes, but for those of one piece, and reading stops."""
    bench = Bench()
    await bench.receive(GET.replace(b"/get", b"/held"))
    count = 2 * AHEAD_BYTES_MAX // len(GET)
    await bench.receive(GET * count)
    assert len(bench.connection.pipeline) <= PIECE_BYTES // len(GET) + 1
    assert not bench.transport.reading
    bench.application.release.set()
    for _ in range(count):
        await bench.settle()
    assert bench.statuses == [200] * (count + 1)
    assert bench.transport.reading


@pytest.mark.parametrize("start", [b"GET /", READ + b"x: ", GET + b"GET /"], ids=["target", "header", "second"])
async def test_a_head_is_bounded(start: bytes) -> None:
    bench = Bench()
    await bench.receive(start + b"a" * (HEAD_BYTES_MAX - len(start) - PIECE_BYTES))
    assert 431 not in bench.statuses
    await bench.receive(b"a" * (3 * PIECE_BYTES))
    assert (bench.statuses[-1], bench.code) == (431, "head_too_large")
    assert bench.loop.waiting


@pytest.mark.parametrize(
    "flood",
    [b"1;" + b"a" * 2 * FRAMING_BYTES_MAX, b"0\r\n" + b"x: y\r\n" * FRAMING_BYTES_MAX, b"0" * 2 * FRAMING_BYTES_MAX],
    ids=["extension", "trailers", "size"],
)
async def test_what_stands_around_chunks_is_bounded(flood: bytes) -> None:
    bench = Bench()
    await bench.receive(CHUNKED + flood)
    assert (bench.statuses, bench.code) == ([400], "invalid_request")
    assert bench.application.left in ([], ["/read"])  # it is told if it had begun


async def test_chunks_of_one_byte_are_no_flood() -> None:
    bench = Bench()
    await bench.receive(CHUNKED + b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n")
    assert bench.statuses == [200]
    assert bench.transport.written[-1] == b"50000"


async def test_a_trailer_is_no_header() -> None:
    bench = Bench()
    await bench.receive(CHUNKED + b"0\r\nauthorization: me\r\n\r\n")
    assert bench.statuses == [200]
    assert b"authorization" not in dict(bench.application.headers)


async def test_answers_to_earlier_requests_come_before_a_refusal() -> None:
    """Also that of one that waits for its turn."""
    bench = Bench()
    await bench.receive(GET.replace(b"/get", b"/held") + GET + b"nonsense\r\n\r\n")
    assert bench.statuses == []
    await bench.receive(GET)
    bench.application.release.set()
    await bench.settle()
    assert bench.statuses == [200, 200, 400]
    assert bench.application.begun == ["/held", "/get"]


async def test_a_request_that_waits_for_its_turn_is_not_begun_if_its_body_is_bad() -> None:
    bench = Bench()
    await bench.receive(GET.replace(b"/get", b"/held") + CHUNKED + b"nonsense\r\n")
    bench.application.release.set()
    await bench.settle()
    assert bench.statuses == [200, 400]
    assert bench.application.begun == ["/held"]


async def test_a_bad_body_ends_the_request_that_waits_for_it() -> None:
    bench = Bench()
    await bench.receive(CHUNKED, b"nonsense\r\n")
    assert bench.statuses == [400]
    assert bench.application.left == ["/read"]


@pytest.mark.parametrize("path", [b"/early", b"/broken"], ids=["whole", "begun"])
async def test_no_request_gets_two_answers(path: bytes) -> None:
    """Where there is one already, or its beginning, the connection just ends."""
    bench = Bench()
    await bench.receive(CHUNKED.replace(b"/read", path), b"nonsense\r\n")
    assert bench.statuses == [200]
    assert bench.transport.closed
    await bench.stop()


async def test_a_refusal_after_the_connection_was_closed_is_not_sent() -> None:
    bench = Bench()
    await bench.receive(GET.replace(b"/get", b"/held").replace(HOST, HOST + b"connection: close\r\n") + GET[:9])
    bench.connection.data_received(b"\0")
    bench.application.release.set()
    await bench.settle()
    await bench.receive(GET)
    assert bench.statuses == [200]
    assert bench.transport.closed


async def test_a_wish_for_another_protocol_is_not_granted() -> None:
    """The request is served, and nothing after it is read."""
    bench = Bench()
    await bench.receive(GET.replace(HOST, HOST + b"connection: upgrade\r\nupgrade: h2c\r\n") + GET, GET)
    assert bench.statuses == [200]
    assert bench.transport.closed


async def test_a_target_that_cannot_be_read_is_refused() -> None:
    bench = Bench()
    await bench.receive(GET.replace(b"/get", b"http://a:99999"))
    assert (bench.statuses, bench.code) == ([400], "invalid_request")


async def test_a_client_that_takes_nothing_of_its_answer_is_cut_off() -> None:
    """As long as it takes anything it has time; so also when all was written and the connection is to close."""
    bench = Bench()
    await bench.receive(GET.replace(b"/get", b"/held"))
    bench.transport.unsent = 100_000
    bench.connection.pause_writing()
    for unsent in (90_000, 80_000):
        bench.transport.unsent = unsent
        await bench.advance(STALL_SECONDS)
    assert not bench.transport.aborted
    bench.connection.resume_writing()
    bench.application.release.set()
    await bench.settle()
    assert bench.statuses == [200]
    await bench.advance(STALL_SECONDS - 2 * TICK_SECONDS)
    assert not bench.transport.aborted
    await bench.advance(3 * TICK_SECONDS)
    assert bench.transport.aborted


async def test_nothing_is_waited_for_once_the_connection_is_lost() -> None:
    bench = Bench()
    await bench.receive(GET[:-5])
    bench.connection.connection_lost(None)
    assert bench.loop.waiting == []
    assert bench.state.connections == set()
