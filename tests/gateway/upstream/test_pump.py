"""A body that is passed on in the very moment it comes, over real sockets."""

import asyncio

import pytest

from gateway.errors import UpstreamFailed, UpstreamTimeout
from tests.doubles.scripted_server import Close, ScriptedServer, Send, Step, Until
from tests.gateway.upstream.exchanging import OK, RECEIVE, request, transport_to
from tests.stores import eventually
from tiers.tiermap import Timeouts

HEAD = OK + b"transfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def piece(text: bytes) -> Send:
    """One chunk of a body."""
    return Send(b"%x\r\n%b\r\n" % (len(text), text))


async def test_each_piece_is_given_as_it_comes_until_the_body_is_complete() -> None:
    """The second is sent only after the first was taken; afterwards the connection can be used again."""
    took = asyncio.Event()
    taken: list[bytes] = []

    def take(data: bytes) -> bool:
        taken.append(data)
        took.set()
        return True

    answer: list[Step] = [RECEIVE, Send(HEAD), piece(b"one"), Until(took), piece(b"two"), Send(END)]
    async with ScriptedServer([*answer, *answer]) as server, transport_to(server) as transport:
        for _ in range(2):
            taken.clear()
            response = await transport.send(request())
            await response.pump(take)
            await response.aclose()
            assert b"".join(taken) == b"onetwo"
        assert server.accepted == 1


@pytest.mark.parametrize(
    "ending", [[Send(b"3\r\none\r\n" + END)], [Send(b"3\r\none\r\n"), Close()]], ids=["whole", "cut"]
)
async def test_an_end_that_came_with_the_last_piece_is_not_waited_for(ending: list[Step]) -> None:
    """It is there already when the piece is taken; a wait would last as long as the idle timeout."""
    async with ScriptedServer([RECEIVE, Send(HEAD), *ending]) as server, transport_to(server) as transport:
        response = await transport.send(request())
        await server.until(lambda: server.open == (1 if len(ending) == 1 else 0))
        async with asyncio.timeout(2):
            await eventually(lambda: response.received.complete or response.error is not None)
            if len(ending) == 1:
                await response.pump(lambda _: True)
            else:
                with pytest.raises(UpstreamFailed, match="before the answer was complete"):
                    await response.pump(lambda _: True)
        await response.aclose()


async def test_what_comes_after_enough_waits_for_the_next_call() -> None:
    """Nothing is lost between two calls."""
    taken: list[bytes] = []

    def one(data: bytes) -> bool:
        taken.append(data)
        return False

    go = asyncio.Event()
    script: list[Step] = [RECEIVE, Send(HEAD), piece(b"one"), Until(go), piece(b"two"), Send(END)]
    async with ScriptedServer(script) as server, transport_to(server) as transport:
        response = await transport.send(request())
        await response.pump(one)
        assert taken == [b"one"]
        go.set()
        await response.pump(one)
        await response.pump(one)
        assert b"".join(taken) == b"onetwo"
        await response.aclose()


@pytest.mark.parametrize("first", [True, False], ids=["at once", "while it waits"])
async def test_what_the_taker_raises_reaches_who_pumps(*, first: bool) -> None:
    """And not the event loop."""
    seen = asyncio.Event()

    def refuse(data: bytes) -> bool:
        if first or data == b"two":
            raise UpstreamFailed("not an event")
        seen.set()
        return True

    later: list[Step] = [] if first else [Until(seen), piece(b"two")]
    script: list[Step] = [RECEIVE, Send(HEAD), piece(b"one"), *later]
    async with ScriptedServer(script) as server, transport_to(server) as transport:
        response = await transport.send(request())
        with pytest.raises(UpstreamFailed, match="not an event"):
            await response.pump(refuse)
        await response.aclose()
        await server.until(lambda: server.open == 0)


async def test_a_body_that_is_cut_fails_after_what_came() -> None:
    taken: list[bytes] = []

    def take(data: bytes) -> bool:
        taken.append(data)
        return True

    script: list[Step] = [RECEIVE, Send(HEAD), piece(b"one"), Close()]
    async with ScriptedServer(script) as server, transport_to(server) as transport:
        response = await transport.send(request())
        with pytest.raises(UpstreamFailed, match="before the answer was complete"):
            await response.pump(take)
        assert taken == [b"one"]
        await response.aclose()


async def test_silence_between_pieces_is_bounded() -> None:
    never = asyncio.Event()
    script: list[Step] = [RECEIVE, Send(HEAD), piece(b"one"), Until(never)]
    async with ScriptedServer(script) as server, transport_to(server, Timeouts(idle=0.05)) as transport:
        response = await transport.send(request())
        with pytest.raises(UpstreamTimeout, match="idle"):
            await response.pump(lambda _: True)
        await response.aclose()
        never.set()
