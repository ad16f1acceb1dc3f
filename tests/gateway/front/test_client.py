"""``gateway.front.client``: what a request reads from a hot connection, and the bytes of its answer."""

import asyncio

import pytest

from gateway.downstream import send_error
from gateway.errors import BodyTooLarge, ClientDisconnected, RequestTooSlow, UpstreamFailed
from gateway.front.client import HotClient
from gateway.wire.header_lines import HeaderLines
from tests.gateway.front.lines import FakeConnection, FrontTransport

JSON = [(b"content-type", b"application/json")]


class Bench:
    """One client on a connection without a socket."""

    def __init__(self, body: bytes | None = b"hello", length: int = 5) -> None:
        self.transport = FrontTransport()
        self.connection = FakeConnection(transport=self.transport)
        self.client = HotClient(self.connection, length, body)


async def begun(task: "asyncio.Task[object]") -> None:
    """Let a task run until it waits."""
    for _ in range(3):
        await asyncio.sleep(0)
    assert not task.done()


async def test_the_body_is_what_came() -> None:
    assert await Bench().client.body(5) == b"hello"


async def test_a_body_that_is_still_to_come_is_waited_for() -> None:
    """Whatever else changes meanwhile."""
    bench = Bench(body=None)
    task = asyncio.ensure_future(bench.client.body(5))
    await begun(task)
    bench.client.wake()
    await begun(task)
    bench.client.give(b"hello")
    assert await task == b"hello"


async def test_a_body_over_the_limit_is_refused_before_it_came() -> None:
    """By what its head said."""
    with pytest.raises(BodyTooLarge, match="more than 4 bytes"):
        await Bench(body=None).client.body(4)


async def test_a_client_that_leaves_before_its_body_was_complete_is_told_of() -> None:
    bench = Bench(body=None)
    task = asyncio.ensure_future(bench.client.body(5))
    await begun(task)
    bench.client.leave()
    bench.client.leave()
    with pytest.raises(ClientDisconnected, match="before its request was complete"):
        await task


async def test_a_body_that_is_given_up_ends_the_wait_for_it() -> None:
    client = HotClient(FakeConnection(), 5, None)
    waiting = asyncio.ensure_future(client.body(5))
    await asyncio.sleep(0)
    client.give_up(RequestTooSlow("Too slow."))
    with pytest.raises(RequestTooSlow):
        await waiting


async def test_leaving_ends_what_the_request_waits_for() -> None:
    bench = Bench()

    async def wait() -> None:
        with bench.client.present():
            await asyncio.Event().wait()

    task = asyncio.ensure_future(wait())
    await begun(task)
    bench.client.leave()
    with pytest.raises(ClientDisconnected):
        await task


async def test_a_client_that_is_gone_already_is_not_present() -> None:
    bench = Bench()
    bench.client.leave()
    with pytest.raises(ClientDisconnected):
        bench.client.present()


async def test_a_whole_answer_is_one_write() -> None:
    """With the headers of every answer."""
    bench = Bench()
    bench.client.headers.append((b"x-request-id", b"req_1"))
    await bench.client.send_whole(200, JSON, b"{}")
    assert bench.transport.written == [
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_1\r\ncontent-length: 2\r\n\r\n{}"
    ]
    assert (bench.client.responded, bench.client.streaming, bench.client.complete) == (True, False, True)
    assert not bench.connection.closing


async def test_headers_that_come_again_stand_behind_the_answers_own() -> None:
    """Of a whole answer and of a stream."""
    served = HeaderLines([(b"x-tiergate-tier", b"routing")])
    whole, stream = Bench(), Bench()
    await whole.client.send_whole(200, JSON, b"{}", served)
    await stream.client.start_stream(200, JSON, served)
    await stream.client.end_stream()
    for bench in (whole, stream):
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-tiergate-tier: routing\r\n"
        assert bench.transport.written[0].startswith(head)


async def test_a_status_without_a_name_has_none() -> None:
    bench = Bench()
    await bench.client.send_whole(299, [], b"")
    assert bench.transport.written == [b"HTTP/1.1 299 \r\ncontent-length: 0\r\n\r\n"]


async def test_a_connection_that_ends_says_so_once() -> None:
    """Because the client asked, or because the answer does."""
    bench = Bench()
    bench.connection.closing = True
    await bench.client.send_whole(200, [], b"")
    assert bench.transport.written == [b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"]

    bench = Bench()
    await send_error(bench.client, BodyTooLarge("Too large."))
    assert bench.connection.closing
    assert b"\r\nconnection: close\r\n" in bench.transport.written[0]

    bench = Bench()
    await bench.client.send_whole(200, [(b"x", b"connection: close")], b"")
    assert not bench.connection.closing


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb", b"a\0b", b"\r\n\r\n"])
async def test_a_header_that_would_be_read_as_two_is_left_out(value: bytes) -> None:
    """The others stay."""
    bench = Bench()
    await bench.client.send_whole(200, [(b"x-bad", value), *JSON], b"")
    assert bench.transport.written == [
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n"
    ]


async def test_a_stream_begins_with_its_first_piece_and_each_piece_is_one_write() -> None:
    bench = Bench()
    await bench.client.start_stream(200, JSON)
    assert bench.transport.written == []
    assert (bench.client.responded, bench.client.streaming) == (True, True)
    await bench.client.send_piece(b"")
    await bench.client.send_piece(b"data: 1\n\n")
    await bench.client.send_piece(b"data: 2\n\n" * 2)
    await bench.client.send_piece(b"")
    assert not bench.client.complete
    await bench.client.end_stream(b"[DONE]")
    assert bench.transport.written == [
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n",
        b"12\r\ndata: 2\n\ndata: 2\n\n\r\n",
        b"6\r\n[DONE]\r\n0\r\n\r\n",
    ]
    assert (bench.client.streaming, bench.client.complete) == (False, True)


async def test_a_stream_without_a_piece_is_one_write() -> None:
    bench = Bench()
    await bench.client.start_stream(200, [])
    await bench.client.end_stream()
    assert bench.transport.written == [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"]


async def test_an_error_inside_a_stream_ends_it() -> None:
    bench = Bench()
    await bench.client.start_stream(200, [])
    await send_error(bench.client, UpstreamFailed("It broke."))
    assert bench.transport.written[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"It broke." in bench.transport.written[0]
    assert bench.client.complete


@pytest.mark.parametrize("what", ["whole", "piece", "end"])
async def test_what_is_sent_waits_for_a_client_that_reads_slowly(what: str) -> None:
    """It goes on when the client has read, and ends when it leaves."""
    for leaves in (False, True):
        bench = Bench()
        client = bench.client
        if what != "whole":
            await client.start_stream(200, [])
        bench.connection.write_paused = True
        sends = {
            "whole": lambda client=client: client.send_whole(200, [], b"x"),
            "piece": lambda client=client: client.send_piece(b"x"),
            "end": lambda client=client: client.end_stream(b"x"),
        }
        task = asyncio.ensure_future(sends[what]())
        await begun(task)
        client.wake()
        await begun(task)
        assert bench.transport.written == []
        if leaves:
            client.leave()
            with pytest.raises(ClientDisconnected):
                await task
            assert bench.transport.written == []
        else:
            bench.connection.write_paused = False
            client.wake()
            await task
            assert len(bench.transport.written) == 1


async def test_nothing_is_sent_to_a_client_that_is_gone() -> None:
    bench = Bench()
    bench.client.leave()
    await bench.client.send_whole(200, [], b"x")
    await bench.client.start_stream(200, [])
    await bench.client.send_piece(b"x")
    await bench.client.end_stream(b"x")
    assert bench.transport.written == []
    assert not bench.client.complete
