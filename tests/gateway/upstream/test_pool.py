"""``gateway.upstream.pool`` against a scripted server on a real socket; see ``test_pool_failures`` for bad ones."""

import asyncio
import gc
import socket

import pytest

from gateway.errors import UpstreamFailed, UpstreamUnreachable
from gateway.upstream.pool import HttpTransport
from gateway.upstream.reception import Reception
from gateway.upstream.response import Response
from tests.doubles.scripted_server import Close, Receive, ScriptedServer, Send, Step, Until
from tests.gateway.upstream.exchanging import (
    ANSWER,
    MINUTES,
    OK,
    PATIENT,
    PONG,
    RECEIVE,
    exchanged,
    request,
    sent_late,
    transport_to,
)


async def test_a_request_arrives_and_its_answer_comes_back() -> None:
    reply = b"HTTP/1.1 201 Created\r\nX-Id: 7\r\ncontent-length: 4\r\n\r\npong"
    async with ScriptedServer([RECEIVE, Send(reply)]) as server, transport_to(server) as transport:
        response = await transport.send(request())

        assert response.status == 201
        assert response.headers == [(b"x-id", b"7"), (b"content-length", b"4")]
        assert await response.chunk() == b"pong"
        assert await response.chunk() == b""
        await response.aclose()
        assert server.requests == [
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:%d\r\naccept: */*\r\n"
            b"content-length: 4\r\n\r\nping" % server.port
        ]


async def test_every_byte_may_come_alone() -> None:
    wire = (
        b"HTTP/1.1 100 Continue\r\n\r\n"
        + OK
        + b"transfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nx-t: 1\r\n\r\n"
    )
    script: list[Step] = [RECEIVE, Send(wire, size=1)] * 2
    async with ScriptedServer(script) as server, transport_to(server) as transport:
        assert await exchanged(transport) == b"hello world"
        assert await exchanged(transport) == b"hello world"
        assert server.accepted == 1


async def test_pieces_come_as_the_endpoint_sends_them() -> None:
    """A stream's first event is not held back for its second."""
    go = asyncio.Event()
    head = OK + b"transfer-encoding: chunked\r\n\r\n"
    script: list[Step] = [RECEIVE, Send(head + b"3\r\none\r\n"), Until(go), Send(b"3\r\ntwo\r\n0\r\n\r\n")]
    async with ScriptedServer(script) as server, transport_to(server) as transport:
        response = await transport.send(request())
        assert await response.chunk() == b"one"
        go.set()
        assert await response.chunk() == b"two"
        assert await response.chunk() == b""
        await response.aclose()


async def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    script: list[Step] = [RECEIVE, Send(OK + b"\r\nhello"), Close()]
    async with ScriptedServer(script) as server, transport_to(server) as transport:
        assert await exchanged(transport) == b"hello"
        assert await exchanged(transport) == b"hello"
        assert server.accepted == 2


async def test_the_answer_to_head_leaves_the_connection_usable() -> None:
    script: list[Step] = [RECEIVE, Send(OK + b"content-length: 99\r\n\r\n"), RECEIVE, ANSWER]
    async with ScriptedServer(script) as server, transport_to(server) as transport:
        assert await exchanged(transport, request(b"", method=b"HEAD")) == b""
        assert await exchanged(transport) == b"pong"
        assert server.accepted == 1


async def test_requests_one_after_another_share_one_connection_without_delay() -> None:
    async with ScriptedServer([RECEIVE, ANSWER] * 20) as server, transport_to(server) as transport:
        for _ in range(20):
            assert await exchanged(transport) == b"pong"
        assert server.accepted == 1
        (connection,) = transport._idle
        assert connection._transport is not None
        endpoint = connection._transport.get_extra_info("socket")
        assert endpoint.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


async def test_the_connection_that_was_used_last_is_used_first() -> None:
    go = asyncio.Event()
    scripts: list[list[Step]] = [[RECEIVE, ANSWER] * 4, [RECEIVE, Until(go), ANSWER, RECEIVE, ANSWER]]
    async with ScriptedServer(*scripts) as server, transport_to(server) as transport:
        first, second = await asyncio.gather(transport.send(request()), sent_late(transport, go))
        await first.aclose()
        last = next(reversed(transport._idle))
        await second.aclose()
        newest = next(reversed(transport._idle))
        assert last is not newest

        response = await transport.send(request())
        assert list(transport._idle) == [last]
        await response.aclose()


@pytest.mark.parametrize(
    "reply",
    [
        OK + b"connection: close\r\ncontent-length: 4\r\n\r\npong",
        b"HTTP/1.0 200 OK\r\ncontent-length: 4\r\n\r\npong",
        PONG + b"surplus",
        PONG + PONG,
    ],
)
async def test_a_connection_that_must_not_be_used_again_is_closed(reply: bytes) -> None:
    async with (
        ScriptedServer([RECEIVE, Send(reply)], [RECEIVE, ANSWER]) as server,
        transport_to(server) as transport,
    ):
        assert await exchanged(transport) == b"pong"
        await server.until(lambda: server.open == 0)
        assert await exchanged(transport) == b"pong"
        assert server.accepted == 2


async def test_bytes_on_an_idle_connection_close_it() -> None:
    go = asyncio.Event()
    scripts: list[list[Step]] = [[RECEIVE, ANSWER, Until(go), ANSWER], [RECEIVE, ANSWER]]
    async with ScriptedServer(*scripts) as server, transport_to(server) as transport:
        assert await exchanged(transport) == b"pong"
        go.set()
        await server.until(lambda: server.open == 0)
        assert not transport._idle
        assert await exchanged(transport) == b"pong"


async def test_idle_connections_close_when_their_time_is_over() -> None:
    async with (
        ScriptedServer([RECEIVE, ANSWER] * 9) as server,
        transport_to(server, idle_seconds=0.05) as transport,
    ):
        responses = [await transport.send(request()) for _ in range(3)]
        for response in responses[:2]:
            await response.aclose()
        await server.until(lambda: server.open == 1)
        await responses[2].aclose()
        await server.until(lambda: server.open == 0)
        assert not transport._open


async def test_an_expired_connection_is_not_used_even_before_it_is_swept() -> None:
    async with ScriptedServer([RECEIVE, ANSWER] * 2) as server, transport_to(server) as transport:
        assert await exchanged(transport) == b"pong"
        (connection,) = transport._idle
        transport._idle[connection] -= MINUTES
        assert await exchanged(transport) == b"pong"
        assert server.accepted == 2
        await server.until(lambda: server.open == 1)


async def test_a_sweep_closes_the_old_and_comes_again_for_the_young() -> None:
    async with ScriptedServer([RECEIVE, ANSWER]) as server, transport_to(server) as transport:
        responses = [await transport.send(request()) for _ in range(2)]
        for response in responses:
            await response.aclose()
        old, young = transport._idle
        transport._idle[old] -= MINUTES
        transport._close_old(asyncio.get_running_loop())

        assert list(transport._idle) == [young]
        assert transport._sweep is not None
        await server.until(lambda: server.open == 1)


async def test_no_more_idle_connections_are_kept_than_allowed() -> None:
    async with ScriptedServer([RECEIVE, ANSWER]) as server, transport_to(server, idle_max=2) as transport:
        responses = [await transport.send(request()) for _ in range(5)]
        for response in responses:
            await response.aclose()
        await server.until(lambda: server.open == 2)
        assert len(transport._idle) == 2


async def test_without_keep_alive_the_endpoint_is_told_so() -> None:
    async with ScriptedServer([RECEIVE, ANSWER]) as server, transport_to(server, idle_max=0) as transport:
        assert await exchanged(transport) == b"pong"
        await server.until(lambda: server.open == 0)
        assert b"\r\nconnection: close\r\n" in server.requests[0]


async def test_above_the_limit_of_connections_nothing_is_sent() -> None:
    async with (
        ScriptedServer([RECEIVE, ANSWER]) as server,
        transport_to(server, connections_max=2) as transport,
    ):
        responses = [await transport.send(request()) for _ in range(2)]
        with pytest.raises(UpstreamUnreachable, match=r"2 connections .* are open"):
            await transport.send(request())
        for response in responses:
            await response.aclose()
        assert len(server.requests) == 2


# Sizes and speed


@pytest.mark.parametrize("size", [60_000, 3_000_000])
async def test_a_refusal_before_the_body_was_read_is_delivered(size: int) -> None:
    refusal = b"HTTP/1.1 413 Content Too Large\r\nconnection: close\r\ncontent-length: 3\r\n\r\nbig"
    script: list[Step] = [Receive(body=False), Send(refusal), Close()]
    async with ScriptedServer(script) as server, transport_to(server) as transport:
        response = await transport.send(request(b"x" * size))

        assert response.status == 413
        assert await response.read(10) == b"big"
        await response.aclose()


async def test_a_large_body_arrives_whole() -> None:
    body = bytes(range(256)) * 20_000
    async with ScriptedServer([RECEIVE, ANSWER] * 2) as server, transport_to(server) as transport:
        assert await exchanged(transport, request(body)) == b"pong"
        assert server.requests[0].endswith(b"\r\n\r\n" + body)
        assert await exchanged(transport) == b"pong"
        assert server.accepted == 1


async def test_an_answer_may_come_while_the_body_is_still_being_sent() -> None:
    go = asyncio.Event()
    script: list[Step] = [Receive(body=False), Send(OK + b"content-length: 4\r\n\r\npo"), Until(go), Send(b"ng")]
    async with ScriptedServer(script) as server, transport_to(server) as transport:
        response = await transport.send(request(b"x" * 20_000_000))
        assert await response.chunk() == b"po"
        go.set()
        assert await response.chunk() == b"ng"
        await response.aclose()
        assert not transport._idle, "half a request was sent"


async def test_an_endpoint_is_slowed_down_to_its_reader() -> None:
    size = 64_000_000
    script: list[Step] = [RECEIVE, Send(OK + b"content-length: %d\r\n\r\n" % size), *[Send(b"x" * 100_000)] * 640]
    async with ScriptedServer(script) as server, transport_to(server) as transport:
        response = await transport.send(request())
        before = -1
        while server.sent_bytes != before:  # until the server is stuck
            before = server.sent_bytes
            for _ in range(50):
                await asyncio.sleep(0.001)
        assert server.sent_bytes < size / 2

        assert len(await response.read(size)) == size
        await response.aclose()
        assert len(transport._idle) == 1


# Ways out


async def test_closing_an_unfinished_answer_closes_the_connection_at_once() -> None:
    script: list[Step] = [RECEIVE, Send(OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")]
    async with ScriptedServer(script) as server, transport_to(server) as transport:
        response = await transport.send(request())
        assert await response.chunk() == b"hello"
        await response.aclose()
        await server.until(lambda: server.open == 0)
        assert not transport._idle


async def test_closing_a_complete_answer_that_was_not_read_keeps_the_connection() -> None:
    async with ScriptedServer([RECEIVE, ANSWER] * 2) as server, transport_to(server) as transport:
        await (await transport.send(request())).aclose()
        assert await exchanged(transport) == b"pong"
        assert server.accepted == 1


@pytest.mark.parametrize("turns", range(8))
async def test_a_cancelled_send_leaves_no_connection_behind(turns: int) -> None:
    """At whatever point of connecting, sending or waiting it is cancelled."""
    async with ScriptedServer([RECEIVE]) as server, transport_to(server) as transport:
        sending = asyncio.get_running_loop().create_task(transport.send(request()))
        for _ in range(turns):
            await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await server.until(lambda: server.open == 0)
        assert not transport._idle
        for _ in range(3):
            await asyncio.sleep(0)
        assert not transport._open


async def test_a_send_that_is_cancelled_as_its_head_arrives_closes_the_connection() -> None:
    async with ScriptedServer([RECEIVE, ANSWER, RECEIVE]) as server, transport_to(server) as transport:
        assert await exchanged(transport) == b"pong"
        (connection,) = transport._idle
        sending = asyncio.get_running_loop().create_task(transport.send(request()))
        await asyncio.sleep(0)
        connection.data_received(PONG[:-1])
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await server.until(lambda: server.open == 0)


async def test_a_cancelled_chunk_can_be_asked_for_again() -> None:
    go = asyncio.Event()
    script: list[Step] = [RECEIVE, Send(OK + b"content-length: 4\r\n\r\n"), Until(go), Send(b"pong")]
    async with ScriptedServer(script) as server, transport_to(server) as transport:
        response = await transport.send(request())
        reading = asyncio.get_running_loop().create_task(response.chunk())
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        go.set()
        assert await response.read(10) == b"pong"
        await response.aclose()
        assert len(transport._idle) == 1


async def test_closing_the_transport_closes_idle_connections_now_and_others_at_their_end() -> None:
    go = asyncio.Event()
    head = OK + b"content-length: 4\r\n\r\n"
    scripts: list[list[Step]] = [[RECEIVE, ANSWER], [RECEIVE, Send(head), Until(go), Send(b"pong")]]
    async with ScriptedServer(*scripts) as server:
        transport = HttpTransport(server.url, PATIENT)
        first = await transport.send(request())
        second = await transport.send(request())
        await first.aclose()

        await transport.aclose()
        await server.until(lambda: server.open == 1)
        with pytest.raises(UpstreamUnreachable, match="closing"):
            await transport.send(request())
        go.set()
        assert await second.read(10) == b"pong"
        await second.aclose()
        assert not transport._idle
        await server.until(lambda: server.open == 0)
        await transport.aclose()


async def test_an_exchange_leaves_no_garbage() -> None:
    """Whatever a request needed is freed when it ends, without the cycle collector."""
    async with ScriptedServer([RECEIVE, ANSWER] * 9) as server, transport_to(server) as transport:
        await exchanged(transport)
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                await exchanged(transport)
            found = [one for one in gc.get_objects() if type(one) in {Response, Reception}]
        finally:
            gc.enable()
        assert found == []


async def test_no_message_holds_a_header_value() -> None:
    key = ((b"authorization", b"Bearer sk-canary"),)
    scripts: list[list[Step]] = [[RECEIVE, Close()], [RECEIVE, Send(b"x")], [RECEIVE, Send(PONG[:-1]), Close()]]
    for script in scripts:
        async with ScriptedServer(script) as server, transport_to(server) as transport:
            with pytest.raises(UpstreamFailed) as caught:
                await exchanged(transport, request(headers=key))
            assert "canary" not in repr(caught.value)
            assert f"127.0.0.1:{server.port}" in caught.value.message
