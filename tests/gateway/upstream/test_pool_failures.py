"""``gateway.upstream.pool`` and endpoints that fail: cut, silent, garbled or not there at all."""

import asyncio
import re
import socket
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import GatewayError, UpstreamFailed, UpstreamTimeout, UpstreamUnreachable
from gateway.upstream.pool import HttpTransport
from tests.doubles.scripted_server import Close, Reset, ScriptedServer, Send, Step, Until
from tests.gateway.upstream.exchanging import (
    ANSWER,
    OK,
    PATIENT,
    PONG,
    RECEIVE,
    exchanged,
    request,
    sent_late,
    transport_to,
)


@pytest.mark.parametrize(
    "sent",
    [
        OK + b"content-length: 9\r\n\r\nhello",
        OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n9\r\nhello",
        OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ],
)
@pytest.mark.parametrize("ending", [Close(), Reset()])
async def test_an_answer_that_is_cut_short_is_an_error_after_what_came(sent: bytes, ending: Step) -> None:
    go = asyncio.Event()
    script: list[Step] = [RECEIVE, Send(sent), Until(go), ending]
    async with ScriptedServer(script) as server, transport_to(server) as transport:
        response = await transport.send(request())
        assert await response.chunk() == b"hello"
        go.set()
        with pytest.raises(UpstreamFailed, match=re.escape(f"127.0.0.1:{server.port}")) as caught:
            await response.chunk()
        assert type(caught.value) is UpstreamFailed
        await response.aclose()
        assert not transport._open or server.open == 0


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 200", OK + b"content-length: 4\r\n"])
@pytest.mark.parametrize("ending", [Close(), Reset()])
async def test_a_fresh_connection_that_ends_before_the_head_is_an_error(before: bytes, ending: Step) -> None:
    async with ScriptedServer([RECEIVE, Send(before), ending]) as server, transport_to(server) as transport:
        with pytest.raises(UpstreamFailed) as caught:
            await transport.send(request())

        assert type(caught.value) is UpstreamFailed
        assert server.accepted == 1, "it is never sent twice"


async def test_what_is_not_http_is_an_error_and_the_connection_closes() -> None:
    script: list[Step] = [RECEIVE, Send(b"SSH-2.0-OpenSSH_9.2\r\n")]
    async with ScriptedServer(script) as server, transport_to(server) as transport:
        with pytest.raises(UpstreamFailed, match="not HTTP"):
            await transport.send(request())
        await server.until(lambda: server.open == 0)


@pytest.mark.parametrize("ending", [Close(), Reset()])
async def test_a_reused_connection_that_ends_without_an_answer_is_replaced_once(ending: Step) -> None:
    scripts: list[list[Step]] = [[RECEIVE, ANSWER, RECEIVE, ending], [RECEIVE, ANSWER]]
    async with ScriptedServer(*scripts) as server, transport_to(server) as transport:
        assert await exchanged(transport) == b"pong"
        assert await exchanged(transport) == b"pong"
        assert server.accepted == 2
        assert len(server.requests) == 3
        assert server.requests[1] == server.requests[2]


async def test_the_second_sending_is_the_last_and_on_a_fresh_connection() -> None:
    """Even where another idle connection is at hand: it may be as dead as the first."""
    go = asyncio.Event()
    scripts: list[list[Step]] = [
        [RECEIVE, ANSWER, RECEIVE, Close()],
        [RECEIVE, Until(go), ANSWER, RECEIVE, Close()],
        [RECEIVE, Close()],
    ]
    async with ScriptedServer(*scripts) as server, transport_to(server) as transport:
        first, second = await asyncio.gather(transport.send(request()), sent_late(transport, go))
        await first.aclose()
        await second.aclose()
        with pytest.raises(UpstreamFailed):
            await transport.send(request())
        assert server.accepted == 3
        assert len(server.requests) == 4


async def test_after_one_byte_of_the_answer_nothing_is_sent_again() -> None:
    script: list[Step] = [RECEIVE, ANSWER, RECEIVE, Send(b"H"), Close()]
    async with ScriptedServer(script) as server, transport_to(server) as transport:
        assert await exchanged(transport) == b"pong"
        with pytest.raises(UpstreamFailed, match="in the middle of the answer's head"):
            await transport.send(request())
        assert (server.accepted, len(server.requests)) == (1, 2)


async def test_after_a_time_limit_nothing_is_sent_again() -> None:
    script: list[Step] = [RECEIVE, ANSWER, RECEIVE]
    async with ScriptedServer(script) as server, transport_to(server, replace(PATIENT, headers=0.5)) as transport:
        assert await exchanged(transport) == b"pong"
        with pytest.raises(UpstreamTimeout):
            await transport.send(request())
        assert (server.accepted, len(server.requests)) == (1, 2)
        await server.until(lambda: server.open == 0)


async def test_an_endpoint_that_never_answers_is_a_timeout() -> None:
    async with (
        ScriptedServer([RECEIVE]) as server,
        transport_to(server, replace(PATIENT, headers=0.05)) as transport,
    ):
        with pytest.raises(UpstreamTimeout, match=r"within 0\.05 s \(timeout headers\)"):
            await transport.send(request())
        await server.until(lambda: server.open == 0)


async def test_an_endpoint_that_falls_silent_is_a_timeout() -> None:
    script: list[Step] = [RECEIVE, Send(OK + b"content-length: 9\r\n\r\nhello")]
    async with ScriptedServer(script) as server, transport_to(server, replace(PATIENT, idle=0.05)) as transport:
        response = await transport.send(request())
        assert await response.chunk() == b"hello"
        with pytest.raises(UpstreamTimeout, match=r"0\.05 s .*\(timeout idle\)"):
            await response.chunk()
        await server.until(lambda: server.open == 0)
        await response.aclose()


async def test_a_port_where_nothing_listens_is_unreachable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        transport = HttpTransport(url, PATIENT)
        with pytest.raises(UpstreamUnreachable, match=r"127\.0\.0\.1:\d+ could be made: .*refused"):
            await transport.send(request())
    assert not transport._open
    await transport.aclose()


async def test_no_connection_within_the_limit_is_unreachable() -> None:
    """A listener that never completes TLS stands for a network that swallows packets."""
    async with ScriptedServer([RECEIVE]) as server:
        transport = HttpTransport(server.url.replace("http:", "https:"), replace(PATIENT, connect=0.05))
        with pytest.raises(UpstreamUnreachable, match=r"within 0\.05 s \(timeout connect\)"):
            await transport.send(request())
        await server.until(lambda: server.accepted == 1 and server.open == 0)
        assert not transport._open
        await transport.aclose()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.one_of(st.binary(max_size=80), st.binary(max_size=40).map(lambda tail: PONG[:30] + tail)))
async def test_whatever_an_endpoint_sends_ends_in_an_answer_or_one_of_our_errors(data: bytes) -> None:
    async with ScriptedServer([RECEIVE, Send(data, size=7), Close()]) as server:
        transport = HttpTransport(server.url, PATIENT)
        try:
            await exchanged(transport)
        except GatewayError as error:
            assert type(error) is UpstreamFailed  # noqa: PT017 (either way out is right)
        await transport.aclose()
        await server.until(lambda: server.open == 0)
