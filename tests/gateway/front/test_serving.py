"""The front before a real server: which requests it serves, which it hands over, and how both end."""

import asyncio
import gc
import socket
import struct

import pytest
import uvloop

from gateway.downstream import Client
from gateway.errors import BodyTooLarge
from gateway.front.head import BODY_BYTES_MAX
from gateway.front.protocol import FrontProtocol
from tests.gateway.front.serving import HEALTHZ, plain, served, until


async def test_one_connection_serves_many_requests() -> None:
    """Each gets its own answer, and every one goes the short way."""
    async with served() as gateway, gateway.connect() as client:
        for number in range(200):
            body = b"%d" % number * (number % 50)
            status, headers, echoed = await client.ask(plain(body))
            assert (status, echoed) == (200, body)
            assert headers[b"x-request-id"] == b"%d" % (number + 1)
            assert b"connection" not in headers
        assert all(request.hot for request in gateway.pipeline.served)
        assert gateway.server.server_state.total_requests == 200
        assert not gateway.server.server_state.tasks


async def test_the_pipeline_gets_the_request_as_uvicorn_would_give_it() -> None:
    """Path, headers and body."""
    request = plain(b"\0\xff" * 5000, path="/v1/embeddings", more=b"X-A:  1 \r\nAuthorization: Bearer k\r\n")
    seen = []
    for hot in (True, False):
        async with served(hot=hot) as gateway, gateway.connect() as client:
            assert (await client.ask(request))[0] == 200
            [one] = gateway.pipeline.served
            assert one.hot is hot
            seen.append((one.path, [(name, value.strip()) for name, value in one.headers], one.body))
    assert seen[0] == seen[1]


async def test_a_request_may_come_in_pieces() -> None:
    """Cut anywhere: in its head it is uvicorn's, in its body it stays; either way it is served once."""
    request = plain(b"hello", more=b"x: y\r\n")
    head = request.index(b"\r\n\r\n") + 4
    async with served() as gateway:
        for cut in range(1, len(request)):
            async with gateway.connect() as client:
                await client.send(request[:cut], request[cut:])
                assert (await client.answer())[2] == b"hello"
                assert (await client.ask(request))[2] == b"hello"
            assert gateway.pipeline.begun == 2 * cut
            if cut >= head:
                assert gateway.pipeline.served[-1].hot


async def test_requests_may_be_sent_ahead() -> None:
    """They are answered in order, one after the other, however many bytes they are."""
    running = 0

    async def one_at_a_time(client: Client, body: bytes) -> None:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0)
        running -= 1
        await client.send_whole(200, [], body)

    bodies = [b"%d" % number * 20_000 for number in range(20)]
    async with served(one_at_a_time) as gateway, gateway.connect() as client:
        sending = asyncio.ensure_future(client.send(b"".join(plain(body) for body in bodies)))
        for body in bodies:
            assert (await client.answer())[2] == body
        await sending
        assert len(gateway.pipeline.served) == 20


async def test_any_other_request_is_uvicorns() -> None:
    """On a new connection, in the middle of one, and sent ahead; what follows it is served too."""
    async with served() as gateway:
        async with gateway.connect() as client:
            assert (await client.ask(HEALTHZ))[2] == b"/healthz"
            assert (await client.ask(plain()))[2] == b"hello"
        async with gateway.connect() as client:
            assert (await client.ask(plain(b"1")))[2] == b"1"
            assert (await client.ask(HEALTHZ))[2] == b"/healthz"
            assert (await client.ask(plain(b"2")))[2] == b"2"
            assert (await client.ask(HEALTHZ))[2] == b"/healthz"
        async with gateway.connect() as client:
            await client.send(plain(b"3") + HEALTHZ + plain(b"4"))
            assert [(await client.answer())[2] for _ in range(3)] == [b"3", b"/healthz", b"4"]
        assert [(request.body, request.hot) for request in gateway.pipeline.served] == [
            (b"hello", False), (b"1", True), (b"2", False), (b"3", True), (b"4", False),
        ]  # fmt: skip
        await until(lambda: not gateway.server.server_state.connections)


async def test_a_request_for_the_other_protocol_sent_far_ahead_is_served() -> None:
    """The connection had stopped reading meanwhile."""
    release = asyncio.Event()

    async def held(client: Client, body: bytes) -> None:
        await release.wait()
        await client.send_whole(200, [], body)

    large = b"POST /other HTTP/1.1\r\nhost: a\r\ncontent-length: 12000000\r\n\r\n" + b"x" * 12_000_000
    async with served(held) as gateway, gateway.connect() as client:
        sending = asyncio.ensure_future(client.send(plain() + large))
        await until(lambda: bool(gateway.pipeline.served))
        assert not sending.done()
        release.set()
        assert (await client.answer())[2] == b"hello"
        assert len((await client.answer())[2]) == 12_000_006
        await sending


async def test_bodies_beyond_the_bound_and_chunked_ones_are_uvicorns() -> None:
    async with served() as gateway:
        for size in (BODY_BYTES_MAX, BODY_BYTES_MAX + 1):
            async with gateway.connect() as client:
                sending = asyncio.ensure_future(client.send(plain(b"x" * size)))
                assert len((await client.answer())[2]) == size
                await sending
        async with gateway.connect() as client:
            chunked = b"POST /tokenize HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
            assert (await client.ask(chunked))[2] == b"hello"
        assert [request.hot for request in gateway.pipeline.served] == [True, False, False]


async def test_a_body_over_the_limit_is_refused_and_its_answer_arrives() -> None:
    """At once; the connection closes when the rest of the body came, so that nothing resets it before."""
    async with served(body_bytes_max=1000) as gateway, gateway.connect() as client:
        request = plain(b"x" * 500_000)
        await client.send(request[:2000])
        status, headers, _ = await client.answer()
        assert (status, headers[b"connection"]) == (413, b"close")
        await client.send(request[2000:] + plain())
        assert await client.rest() == b""
        assert [type(ending) for ending in gateway.pipeline.ended] == [BodyTooLarge]


async def test_a_client_that_asks_for_it_gets_its_connection_closed() -> None:
    async with served() as gateway, gateway.connect() as client:
        _, headers, body = await client.ask(plain(more=b"Connection: Close\r\n") + plain(b"never"))
        assert (headers[b"connection"], body) == (b"close", b"hello")
        assert await client.rest() == b""
        assert len(gateway.pipeline.served) == 1


async def hang(client: Client, body: bytes) -> None:
    """An answer that never comes."""
    del client, body
    await asyncio.Event().wait()


@pytest.mark.parametrize("how", ["close", "reset", "half-close"])
async def test_a_client_that_leaves_ends_its_request(how: str) -> None:
    """As it does behind uvicorn."""
    for hot in (True, False):
        async with served(hang, hot=hot) as gateway, gateway.connect() as client:
            await client.send(plain())
            await until(lambda: bool(gateway.pipeline.served))
            if how == "reset":
                near = client.writer.get_extra_info("socket")
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.writer.transport.abort()
            elif how == "half-close":
                client.writer.write_eof()
            else:
                await client.leave()
            await until(lambda: gateway.pipeline.left == 1)
            await until(lambda: not gateway.server.server_state.connections)


async def test_a_client_that_leaves_with_its_body_half_sent_ends_its_request() -> None:
    async with served() as gateway, gateway.connect() as client:
        await client.send(plain(b"x" * 1000)[:-500])
        await until(lambda: gateway.pipeline.begun == 1)
        await client.leave()
        await until(lambda: gateway.pipeline.left == 1)
        assert gateway.pipeline.served == []


async def test_the_pipeline_waits_for_a_client_that_reads_slowly() -> None:
    """What is kept for it is bounded; it gets every byte in the end."""
    sent = 0
    piece = b"x" * 65_536
    pieces = 400

    async def stream(client: Client, body: bytes) -> None:
        nonlocal sent
        del body
        await client.start_stream(200, [])
        for _ in range(pieces):
            await client.send_piece(piece)
            sent += 1
        await client.end_stream()

    async with served(stream) as gateway, gateway.connect(receive_bytes=16_384) as client:
        await client.send(plain())
        await until(lambda: sent > 0)
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.1)
        assert sent < pieces / 2
        [connection] = gateway.server.server_state.connections
        assert connection.transport.get_write_buffer_size() < 3 * len(piece)
        _, headers, body = await client.answer()
        assert headers[b"transfer-encoding"] == b"chunked"
        assert body == piece * pieces
        assert gateway.pipeline.ended == [None]


async def test_a_client_that_leaves_while_it_reads_slowly_ends_its_request() -> None:
    async def stream(client: Client, body: bytes) -> None:
        await client.start_stream(200, [])
        while True:
            await client.send_piece(body * 10_000)

    async with served(stream) as gateway, gateway.connect(receive_bytes=16_384) as client:
        await client.send(plain())
        await until(lambda: bool(gateway.server.server_state.connections))
        [connection] = gateway.server.server_state.connections
        assert isinstance(connection, FrontProtocol)
        await until(lambda: connection.write_paused)
        client.writer.transport.abort()
        await until(lambda: gateway.pipeline.left == 1)


async def test_stopping_closes_idle_connections_and_lets_answers_end() -> None:
    """An answer that has not begun says that the connection ends."""
    release = asyncio.Event()

    async def held(client: Client, body: bytes) -> None:
        await release.wait()
        await client.send_whole(200, [], body)

    async with served(held) as gateway, gateway.connect() as idle, gateway.connect() as busy:
        await busy.send(plain())
        await until(lambda: bool(gateway.pipeline.served))
        await until(lambda: len(gateway.server.server_state.connections) == 2)
        gateway.server.should_exit = True
        assert await idle.rest() == b""
        assert busy.reader.at_eof() is False
        release.set()
        _, headers, body = await busy.answer()
        assert (headers[b"connection"], body) == (b"close", b"hello")
        assert await busy.rest() == b""


async def test_an_idle_connection_is_closed_in_time() -> None:
    """Uvicorn's own setting says when; a request under way is not idle."""
    slow = asyncio.Event()

    async def held(client: Client, body: bytes) -> None:
        await slow.wait()
        await client.send_whole(200, [], body)

    async with served(held, keep_alive_seconds=1) as gateway, gateway.connect() as idle, gateway.connect() as busy:
        await busy.send(plain())
        assert await idle.rest() == b""
        slow.set()
        assert (await busy.answer())[2] == b"hello"
        assert await busy.rest() == b""


async def test_small_packets_leave_at_once() -> None:
    """Nagle's algorithm is off on the loop that serves; a stream's tokens would wait 40 ms for it."""
    if not isinstance(asyncio.get_running_loop(), uvloop.Loop):
        pytest.skip("asyncio's own loop leaves it on for the sockets of such a listener")
    async with served() as gateway, gateway.connect() as client:
        await client.ask(plain())
        [connection] = gateway.server.server_state.connections
        near = connection.transport.get_extra_info("socket")
        assert near.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


async def test_requests_leave_nothing_for_the_garbage_collector() -> None:
    """A cycle per request would be found only by walking the whole process."""
    async with served() as gateway, gateway.connect() as client:
        await client.ask(plain())
        gc.collect()
        gc.disable()
        try:
            for _ in range(50):
                await client.ask(plain())
            gateway.pipeline.served.clear()
            assert gc.collect() < 50
        finally:
            gc.enable()
