"""Who is let in, and how connections are shown out."""

import asyncio
import json
from typing import cast

import pytest

from gateway.errors import GatewayFull, HeadTooLarge, InvalidRequest
from gateway.front.door import LEAVING_MAX, LINGER_BYTES_MAX, LINGER_SECONDS, Door, last_answer
from tests.gateway.front.lines import FrontLoop, FrontTransport
from tests.gateway.front.serving import HEALTHZ, plain, served


def shown_out(door: Door, loop: FrontLoop) -> FrontTransport:
    transport = FrontTransport()
    door.show_out(transport, loop.as_loop(), InvalidRequest("No."))
    return transport


def protocol(transport: FrontTransport) -> asyncio.Protocol:
    return cast("asyncio.Protocol", transport.protocol)


def test_the_last_answer_is_whole_and_says_that_it_is_the_last() -> None:
    head, body = last_answer(HeadTooLarge("Too large.")).split(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 431 Request Header Fields Too Large"
    assert {b"connection: close", b"content-type: application/json", b"content-length: %d" % len(body)} <= set(lines)
    assert json.loads(body)["error"]["code"] == "head_too_large"


def test_a_connection_is_shown_out_with_its_answer() -> None:
    """The gateway's half is closed at once; what still comes is dropped, and the client has a moment for its own."""
    loop = FrontLoop()
    transport = shown_out(Door(), loop)
    assert transport.written == [last_answer(InvalidRequest("No."))]
    assert transport.ended
    protocol(transport).data_received(b"x" * LINGER_BYTES_MAX)
    assert not transport.aborted
    loop.advance(LINGER_SECONDS)
    assert transport.aborted


def test_a_client_that_closes_is_not_waited_for() -> None:
    loop = FrontLoop()
    transport = shown_out(Door(), loop)
    assert not protocol(transport).eof_received()  # the transport then closes itself
    protocol(transport).connection_lost(None)
    assert loop.waiting == []


def test_a_client_that_sends_on_and_on_is_cut_off() -> None:
    transport = shown_out(Door(), FrontLoop())
    protocol(transport).data_received(b"x" * (LINGER_BYTES_MAX + 1))
    assert transport.aborted


def test_only_so_many_are_shown_out_at_once() -> None:
    """Then one more is closed without a word, until one of them is gone."""
    door, loop = Door(), FrontLoop()
    transports = [shown_out(door, loop) for _ in range(LEAVING_MAX + 1)]
    assert [one.aborted for one in transports] == [False] * LEAVING_MAX + [True]
    protocol(transports[0]).connection_lost(None)
    assert not shown_out(door, loop).aborted


@pytest.mark.parametrize("first", [HEALTHZ, plain()], ids=["uvicorn's", "plain"])
async def test_one_connection_too_many_is_refused(first: bytes) -> None:
    """Those that are there are served, of both kinds; there is room again when one leaves."""
    async with served(connections_max=2) as gateway, gateway.connect() as one:
        assert (await one.ask(first))[0] == 200
        async with gateway.connect() as two:
            assert (await two.ask(plain()))[0] == 200
            async with gateway.connect() as three:
                status, headers, body = await three.answer()
                assert (status, headers[b"connection"], headers[b"retry-after"]) == (503, b"close", b"1")
                assert json.loads(body)["error"]["code"] == GatewayFull.code
                assert await three.rest() == b""
            assert (await one.ask(first))[0] == 200
        while len(gateway.server.server_state.connections) > 1:  # noqa: ASYNC110 - the server's own set
            await asyncio.sleep(0.005)
        async with gateway.connect() as again:
            assert (await again.ask(plain()))[0] == 200
