"""``gateway.front.protocol``, driven call by call as a loop drives it; with real sockets: ``test_serving.py``."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.downstream import Client
from gateway.errors import ClientDisconnected, RequestTooSlow
from gateway.front.answer_head import AnswerHeads
from gateway.front.door import LINGER_SECONDS, Door
from gateway.front.guarded import AHEAD_BYTES_MAX, GuardedProtocol
from gateway.front.protocol import FrontProtocol
from gateway.front.watch import STALL_SECONDS
from gateway.wire.headers import Header
from gateway.wire.pace import BODY_BYTES_PER_SECOND_MIN, BODY_SECONDS
from gateway.wire.request_head import RequestHead
from tests.gateway.front.lines import FrontLoop, FrontTransport
from tests.gateway.front.serving import Application, RecordingPipeline, echo, plain

IDLE_SECONDS = 75


class Bench:
    """One connection between a recording pipeline and a recording transport."""

    def __init__(
        self, answer: Callable[[Client, bytes], Awaitable[None]] = echo, *, body_bytes_max: int = 1000
    ) -> None:
        self.loop = FrontLoop()
        self.pipeline = RecordingPipeline(answer=answer, body_bytes_max=body_bytes_max)
        self.transport = FrontTransport()
        self.state = ServerState()
        config = uvicorn.Config(
            Application(self.pipeline), log_config=None, timeout_keep_alive=IDLE_SECONDS, ws="none", lifespan="off"
        )
        self.connection = FrontProtocol(
            self.pipeline,
            Door(),
            AnswerHeads(),
            config=config,
            server_state=self.state,
            app_state={},
            _loop=self.loop.as_loop(),
        )
        self.connection.connection_made(self.transport)

    async def receive(self, *pieces: bytes) -> None:
        """Bytes come from the client, and what they cause happens."""
        for piece in pieces:
            self.connection.data_received(piece)
            await self.settle()

    async def settle(self) -> None:
        """Let tasks run until they wait."""
        for _ in range(6):
            await asyncio.sleep(0)

    def lose(self) -> None:
        """The connection is gone."""
        self.connection.connection_lost(None)


class Held:
    """Answers that wait until they are released."""

    def __init__(self) -> None:
        self.release = asyncio.Event()

    async def __call__(self, client: Client, body: bytes) -> None:
        """See ``serving.Answer``."""
        await self.release.wait()
        await client.send_whole(200, [], body)


class Headers(list[Header]):
    """A client's headers that can be watched until they are gone."""


async def test_a_connection_is_the_servers_until_it_is_lost() -> None:
    """Its tasks too: a server that stops waits for both."""
    held = Held()
    bench = Bench(held)
    await bench.receive(plain())
    assert bench.state.connections == {bench.connection}
    assert len(bench.state.tasks) == 1
    held.release.set()
    await bench.settle()
    assert not bench.state.tasks
    assert bench.state.total_requests == 1
    bench.lose()
    assert not bench.state.connections
    assert bench.loop.waiting == []


async def test_one_task_serves_all_requests_of_a_connection() -> None:
    """It keeps nothing of the last request while it waits for the next, and ends with the connection."""
    tasks = []
    kept = []

    async def answer(client: Client, body: bytes) -> None:
        tasks.append(asyncio.current_task())
        client.headers = Headers(client.headers)
        kept.append(weakref.ref(client.headers))
        await echo(client, body)

    bench = Bench(answer)
    await bench.receive(plain(), plain() + plain(), plain())
    [task] = {*tasks}
    assert len(tasks) == 4
    assert task is not None
    gc.collect()
    assert [headers() for headers in kept] == [None] * 4
    assert not task.done()
    bench.lose()
    await bench.settle()
    assert task.done()
    assert not task.cancelled()


async def test_the_task_of_a_connection_that_is_handed_over_ends() -> None:
    bench = Bench()
    await bench.receive(plain())
    task = bench.connection.task
    assert task is not None
    await bench.receive(b"GET /healthz HTTP/1.1\r\nhost: gateway\r\n\r\n")
    assert task.done()


async def test_an_idle_connection_is_closed_in_time() -> None:
    """After its last answer, by one timer that requests do not touch."""
    bench = Bench()
    for _ in range(10):
        bench.loop.advance(IDLE_SECONDS - 1)
        await bench.receive(plain())
    assert len(bench.transport.written) == 10
    assert bench.loop.armed <= 12
    bench.loop.advance(IDLE_SECONDS - 1)
    assert not bench.transport.is_closing()
    bench.loop.advance(1)
    assert bench.transport.is_closing()


async def test_a_client_that_waits_for_its_answer_is_not_idle() -> None:
    held = Held()
    bench = Bench(held)
    await bench.receive(plain())
    bench.loop.advance(10_000)
    assert not bench.transport.is_closing()
    held.release.set()
    await bench.settle()
    bench.loop.advance(IDLE_SECONDS - 1)
    assert not bench.transport.is_closing()
    bench.loop.advance(1)
    assert bench.transport.is_closing()


async def test_a_body_that_stops_coming_ends_its_request() -> None:
    """With 408. A client that then sends nothing more is soon left."""
    bench = Bench()
    await bench.receive(plain(b"x" * 10)[:-10])
    bench.loop.advance(BODY_SECONDS - 1)
    await bench.settle()
    assert bench.pipeline.ended == []
    bench.loop.advance(1)
    await bench.settle()
    assert isinstance(bench.pipeline.ended[0], RequestTooSlow)
    [answer] = bench.transport.written
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"\r\nconnection: close\r\n" in answer
    assert not bench.transport.is_closing()
    bench.loop.advance(LINGER_SECONDS)
    assert bench.transport.is_closing()
    bench.lose()
    await bench.settle()
    assert bench.pipeline.served == []
    assert bench.loop.waiting == []  # nothing holds a connection that is gone


async def test_a_body_that_comes_byte_by_byte_ends_its_request_too() -> None:
    """What comes gives it time by its size, not by coming at all."""
    bench = Bench()
    await bench.receive(plain(b"x" * 100)[:-100])
    for _ in range(int(BODY_SECONDS)):
        assert bench.pipeline.ended == []
        bench.loop.advance(1)
        await bench.receive(b"x")
    bench.loop.advance(1)
    await bench.settle()
    assert isinstance(bench.pipeline.ended[0], RequestTooSlow)


async def test_a_large_body_may_take_as_long_as_its_size_allows() -> None:
    size = 60 * BODY_BYTES_PER_SECOND_MIN
    bench = Bench(body_bytes_max=size)
    request = plain(b"x" * size)
    for start in range(0, len(request), BODY_BYTES_PER_SECOND_MIN):
        await bench.receive(request[start : start + BODY_BYTES_PER_SECOND_MIN])
        bench.loop.advance(1)
    assert len(bench.pipeline.served[0].body) == size


async def test_an_early_answer_leaves_the_connection_usable() -> None:
    """The rest of the body is read and dropped; then the next request is served, or time runs out."""
    bench = Bench(body_bytes_max=5)

    async def early(client: Client, body: bytes) -> None:
        del client, body
        raise AssertionError("it has no body yet")

    bench.pipeline.answer = early
    request = plain(b"x" * 10)
    await bench.receive(request[:-10])
    assert bench.connection.closing  # the gateway's answer to a body that is too large says so
    assert not bench.transport.is_closing()
    await bench.receive(b"x" * 4)
    assert not bench.transport.is_closing()
    await bench.receive(b"x" * 6 + plain())
    assert bench.transport.is_closing()
    assert len(bench.transport.written) == 1


class EarlyPipeline(RecordingPipeline):
    """Answers before it has the body, but for ``/tokenize``."""

    async def serve(self, head: RequestHead, client: Client) -> None:
        """See ``gateway.pipeline.Pipeline.serve``."""
        if head.operation.path == "/tokenize":
            await super().serve(head, client)
            return
        self.begun += 1
        await client.send_whole(401, [], b"")


async def test_after_an_early_answer_the_rest_of_the_body_is_no_request() -> None:
    bench = Bench()
    early = EarlyPipeline()
    bench.connection._pipeline = early
    request = plain(plain(b"hidden"))
    head = request.index(b"\r\n\r\n") + 4
    await bench.receive(request[:head])
    assert early.begun == 1
    await bench.receive(request[head:-3])
    assert early.begun == 1
    await bench.receive(request[-3:] + request)
    assert early.begun == 2
    good = plain(b"12345", path="/tokenize")
    await bench.receive(request[:-3], request[-3:], good[:-3], good[-3:])
    assert early.begun == 4
    assert [one.body for one in early.served] == [b"12345"]  # nothing of the dropped body is in it
    bench.loop.advance(IDLE_SECONDS)
    assert bench.transport.is_closing()


async def test_the_rest_of_a_refused_body_must_come_in_time() -> None:
    bench = Bench(body_bytes_max=5)
    await bench.receive(plain(b"x" * 10)[:-10])
    bench.loop.advance(BODY_SECONDS)
    assert bench.transport.is_closing()
    assert len(bench.transport.written) == 1


async def test_reading_stops_where_too_much_is_sent_ahead() -> None:
    """It goes on with the next request."""
    held = Held()
    bench = Bench(held)
    await bench.receive(plain())
    ahead = plain(b"y" * AHEAD_BYTES_MAX)
    await bench.receive(ahead[:AHEAD_BYTES_MAX])
    assert (bench.transport.reading, bench.pipeline.begun) == (True, 1)
    await bench.receive(ahead[AHEAD_BYTES_MAX:-1])
    assert (bench.transport.reading, bench.pipeline.begun) == (False, 1)
    await bench.receive(ahead[-1:])
    held.release.set()
    await bench.settle()
    assert (bench.transport.reading, bench.pipeline.begun) == (True, 2)


async def test_a_client_that_takes_nothing_of_its_answer_is_cut_off() -> None:
    """As long as it takes anything it has time."""

    async def stream(client: Client, body: bytes) -> None:
        await client.start_stream(200, [])
        while True:
            await client.send_piece(body)
            await asyncio.sleep(0)

    bench = Bench(stream)
    await bench.receive(plain())
    bench.transport.unsent = 100_000
    bench.connection.pause_writing()
    await bench.settle()
    written = len(bench.transport.written)
    for unsent in (90_000, 80_000):
        bench.transport.unsent = unsent
        bench.loop.advance(STALL_SECONDS)
    assert not bench.transport.is_closing()
    bench.connection.resume_writing()
    await bench.settle()
    assert len(bench.transport.written) > written
    bench.connection.pause_writing()
    await bench.settle()
    bench.loop.advance(STALL_SECONDS)
    assert bench.transport.aborted
    bench.lose()
    await bench.settle()
    assert bench.pipeline.left == 1


async def test_a_client_that_does_not_read_the_end_is_cut_off_too() -> None:
    """Closing would wait for it for ever."""
    bench = Bench()
    await bench.receive(plain(more=b"connection: close\r\n"))
    assert bench.transport.is_closing()
    bench.connection.pause_writing()
    bench.transport.unsent = 1
    bench.connection.resume_writing()
    bench.loop.advance(STALL_SECONDS + IDLE_SECONDS)
    assert bench.transport.aborted


async def test_a_request_that_fails_is_reported_and_ends_its_connection() -> None:
    """An answer without its end must not look whole."""

    async def fail(client: Client, body: bytes) -> None:
        await client.start_stream(200, [])
        await client.send_piece(body)
        raise RuntimeError("a defect")

    bench = Bench(fail)
    await bench.receive(plain())
    assert bench.transport.is_closing()
    assert b"0\r\n\r\n" not in bench.transport.written[-1]
    [failure] = bench.loop.failures
    assert str(failure["exception"]) == "a defect"


async def test_a_request_that_is_cancelled_ends_its_connection() -> None:
    """The server cancels what does not end in time when it stops. That is no defect."""
    bench = Bench(Held())
    await bench.receive(plain())
    [task] = bench.state.tasks
    task.cancel()
    await bench.settle()
    assert bench.transport.is_closing()
    assert bench.loop.failures == []


async def test_the_end_of_what_a_client_sends_is_its_leaving() -> None:
    """Nothing more is written, and what it sent ahead is not served."""
    bench = Bench(Held())
    await bench.receive(plain(), plain(b"ahead"))
    bench.connection.eof_received()
    await bench.settle()
    assert bench.pipeline.left == 1
    assert bench.transport.written == []
    bench.lose()
    await bench.settle()
    assert bench.pipeline.begun == 1
    assert isinstance(bench.pipeline.ended[0], ClientDisconnected)


@pytest.mark.parametrize("paused", [False, True])
async def test_what_is_not_plain_is_handed_over_whole(paused: bool) -> None:
    """With every byte since the request's beginning; uvicorn's protocol takes the connection's place."""
    bench = Bench()
    await bench.receive(plain(b"first"))
    if paused:
        bench.connection.pause_writing()
    await bench.receive(b"GET /healthz HT")
    protocol = bench.transport.protocol
    assert isinstance(protocol, GuardedProtocol)
    assert bench.state.connections == {protocol}
    assert protocol.flow.write_paused is paused
    assert len(bench.loop.waiting) == 1  # the new one's
    protocol.data_received(b"TP/1.1\r\nhost: a\r\n\r\n")
    assert protocol.scope["path"] == "/healthz"
    [task] = bench.state.tasks
    task.cancel()
    await asyncio.wait([task])


async def test_the_server_may_stop_at_any_time() -> None:
    """Idle: at once. Busy: after the answer, which says so."""
    bench = Bench()
    bench.connection.shutdown()
    assert bench.transport.is_closing()

    held = Held()
    bench = Bench(held)
    await bench.receive(plain(), plain(b"ahead"))
    bench.connection.shutdown()
    assert not bench.transport.is_closing()
    held.release.set()
    await bench.settle()
    assert bench.transport.is_closing()
    [answer] = bench.transport.written
    assert b"\r\nconnection: close\r\n" in answer
