"""The connection against servers that behave in every way; against real stores in ``tests/integration``."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from gateway.store.address import Address
from gateway.store.line import REPLY_BYTES_MAX, Line
from gateway.store.multiplexed import BACKOFF_SECONDS, TOGETHER_MAX, Multiplexed
from gateway.store.resp import NotServingError, command
from tests.doubles.scripted_server import Close, Receive, Reset, ScriptedServer, Send, Step, Until
from tests.doubles.store_steps import OK, Commands
from tests.stores import eventually

BOUND_SECONDS = 5.0
SILENT: list[Step] = []


@asynccontextmanager
async def connected(
    *scripts: Sequence[Step], answer_seconds: float = BOUND_SECONDS, login: Address | None = None
) -> AsyncIterator[tuple[Multiplexed, ScriptedServer]]:
    """Commands to a server that plays ``scripts``, one a connection."""
    async with ScriptedServer(*scripts) as server:
        where = replace(login or Address(), host="127.0.0.1", port=server.port)
        commands = Multiplexed(where, answer_seconds=answer_seconds, connect_seconds=BOUND_SECONDS)
        try:
            async with asyncio.timeout(BOUND_SECONDS):
                yield commands, server
        finally:
            await commands.aclose()


async def retried(commands: Multiplexed) -> Any:  # noqa: ANN401 - any reply
    """The reply to the first PING that is not refused because a connection failed a moment ago."""
    replies = []

    async def answered() -> bool:
        try:
            replies.append(await commands.execute("PING"))
        except RedisError:
            return False
        return True

    await eventually(answered)
    return replies[-1]


@pytest.mark.parametrize("size", [0, 1])
async def test_replies_find_their_commands_however_they_are_cut(size: int) -> None:
    """All in one read, or byte by byte; an error is only its own command's."""
    wire = b"+one\r\n-NOSCRIPT two\r\n$-1\r\n*2\r\n:4\r\n$5\r\nfo\r\nr\r\n-ERR five\r\n"
    async with connected([Commands(5), Send(wire, size)]) as (commands, server):
        replies = await asyncio.gather(*(commands.execute("ECHO", i) for i in range(5)), return_exceptions=True)
        assert [replies[0], *replies[2:4]] == [b"one", None, [4, b"fo\r\nr"]]
        assert type(replies[1]) is NoScriptError
        assert type(replies[4]) is ResponseError
        assert server.requests == [b"ECHO %d" % i for i in range(5)]


async def test_a_command_of_an_abandoned_caller_is_sent_in_its_place_and_its_reply_dropped() -> None:
    """A release that follows an abandoned reserve comes after it, and the neighbours get their own replies."""
    async with connected([Commands(3), Send(b":1\r\n:2\r\n:3\r\n")]) as (commands, server):
        before, gone, after = (commands.execute(word) for word in ("before", "gone", "after"))
        gone.cancel()
        assert (await before, await after) == (1, 3)
        assert server.requests == [b"before", b"gone", b"after"]


async def test_a_caller_that_leaves_after_the_write_disturbs_nobody() -> None:
    """Its reply is dropped when it comes."""
    gate = asyncio.Event()
    async with connected([Commands(2), Until(gate), Send(b":1\r\n-ERR 2\r\n:3\r\n"), Commands()]) as (commands, server):
        gone, failing = commands.execute("gone"), commands.execute("failing")
        await server.until(lambda: server.pausing == 1)
        gone.cancel()
        failing.cancel()
        after = commands.execute("after")
        await asyncio.sleep(0)
        gate.set()
        assert await after == 3


@pytest.mark.parametrize("end", [Close(), Reset()])
async def test_a_connection_lost_in_mid_reply_fails_those_who_wait_and_the_next_command_connects(end: Step) -> None:
    """What was answered before stays answered."""
    scripts: list[list[Step]] = [[Commands(3), Send(b":1\r\n$5\r\nab"), end], [Commands(), Send(OK)]]
    async with connected(*scripts) as (commands, server):
        replies = await asyncio.gather(*(commands.execute(word) for word in "abc"), return_exceptions=True)
        assert replies[0] == 1
        assert all(type(reply) is RedisConnectionError for reply in replies[1:])
        assert replies[1] is not replies[2]
        assert await commands.execute("d") == b"OK"
        assert server.accepted == 2


async def test_commands_that_were_not_sent_when_the_connection_was_lost_go_over_the_next() -> None:
    """Nobody can have run them."""
    scripts: list[list[Step]] = [[Commands(), Send(OK)], [Commands(2), Send(b":7\r\n:8\r\n")]]
    async with connected(*scripts) as (commands, server):
        assert await commands.execute("first") == b"OK"
        await asyncio.sleep(0)
        early = commands.execute("early")
        assert commands._line is not None
        commands._line.end(RedisConnectionError("cut"))
        late = commands.execute("late")
        assert (await early, await late) == (7, 8)
        assert server.requests == [b"first", b"early", b"late"]


async def test_commands_that_waited_for_room_when_the_connection_was_lost_go_over_the_next() -> None:
    """As well."""
    scripts: list[list[Step]] = [[Commands(), Send(OK)], [Commands(), Send(b":7\r\n")]]
    async with connected(*scripts) as (commands, _):
        assert await commands.execute("first") == b"OK"
        assert commands._line is not None
        commands._line.pause_writing()
        waits = commands.execute("waits")
        await eventually(lambda: not commands._scheduled)
        commands._line.end(RedisConnectionError("cut"))
        assert await waits == 7


async def test_silence_is_given_up_and_then_the_connection_too() -> None:
    """A late answer must not reach another command; nobody waits longer than a quarter over the time."""
    back: list[Step] = [Commands(), Send(OK), Commands(), Send(OK)]
    async with connected([Commands(2)], back, answer_seconds=0.2) as (commands, server):
        loop = asyncio.get_running_loop()
        start = loop.time()
        replies = await asyncio.gather(commands.execute("a"), commands.execute("b"), return_exceptions=True)
        assert all(type(reply) is RedisTimeoutError for reply in replies)
        assert loop.time() - start >= 0.2
        assert await retried(commands) == b"OK"
        await server.until(lambda: server.open == 1)


async def test_while_a_store_is_silent_commands_fail_at_once_until_it_answers_a_ping() -> None:
    """Nobody waits for it one after the other, none of the refused reaches it, and no command is needed to notice that
    it is back. A store that still loads is not back.
    """
    gate = asyncio.Event()
    back: list[Step] = [Commands(), Until(gate), Send(OK), Commands(), Send(b":1\r\n")]
    loading: list[Step] = [Commands(), Send(b"-LOADING the data set\r\n")]
    async with connected([Commands()], loading, back, answer_seconds=0.1) as (commands, server):
        with pytest.raises(RedisTimeoutError):
            await commands.execute("first")
        await server.until(lambda: server.pausing == 1)
        for _ in range(3):
            refused = commands.execute("refused")
            with pytest.raises(RedisConnectionError, match=r"LOADING|LoadingError"):
                refused.result()
        gate.set()
        await eventually(lambda: commands._line is not None)
        assert await commands.execute("next") == 1
        assert server.requests == [b"first", b"PING", b"PING", b"next"]
        assert server.open == 1


async def test_a_refused_ping_is_an_answer() -> None:
    """A user who may not send it is not shut out for ever."""
    back: list[Step] = [Commands(), Send(b"-NOPERM no ping\r\n"), Commands(), Send(b":1\r\n")]
    async with connected([Commands()], back, answer_seconds=0.1) as (commands, _):
        with pytest.raises(RedisTimeoutError):
            await commands.execute("first")
        await eventually(lambda: commands._line is not None)
        assert await commands.execute("next") == 1


async def test_a_login_that_hangs_is_looked_for_as_well() -> None:
    """One command waits as long as connecting may take; those after it do not."""
    back: list[Step] = [Commands(), Send(OK), Commands(), Send(OK), Commands(), Send(b":1\r\n")]
    async with ScriptedServer([Commands()], back) as server:
        commands = Multiplexed(Address(host="127.0.0.1", port=server.port, password="x"), connect_seconds=0.1)
        with pytest.raises(RedisConnectionError, match=r"within 0\.1 seconds"):
            await commands.execute("first")
        with pytest.raises(RedisConnectionError, match=r"within 0\.1 seconds"):
            commands.execute("refused").result()
        await eventually(lambda: commands._line is not None)
        assert await commands.execute("next") == 1
        assert server.requests == [b"AUTH x", b"AUTH x", b"PING", b"next"]
        await commands.aclose()


class Found:
    """Where a store is that is not found at first, and then never answers."""

    name = "the store of a test"

    def __init__(self) -> None:
        self.opened = 0

    async def open(self, loop: asyncio.AbstractEventLoop) -> Line:
        """As ``Where`` asks."""
        self.opened += 1
        if self.opened == 1:
            raise RedisTimeoutError("not found")
        await loop.create_future()
        raise AssertionError


async def test_a_store_that_is_not_found_in_time_is_looked_for_as_well() -> None:
    """It is as silent as one that does not answer."""
    where = Found()
    commands = Multiplexed(where)
    with pytest.raises(RedisTimeoutError, match="not found"):
        await commands.execute("first")
    await eventually(lambda: where.opened == 2)
    with pytest.raises(RedisConnectionError, match="not found"):
        commands.execute("refused").result()
    await commands.aclose()
    assert where.opened == 2


async def test_a_connection_can_be_left_for_a_new_one() -> None:
    """Where the store has moved; without one it is no error."""
    async with connected([Commands()], [Commands(), Send(OK)]) as (commands, server):
        commands.leave("moved")
        waits = commands.execute("a")
        await server.until(lambda: server.requests == [b"a"])
        commands.leave("moved")
        with pytest.raises(NotServingError, match="moved"):
            await waits
        assert await retried(commands) == b"OK"


async def test_closing_while_a_silent_store_is_looked_for_leaves_nothing() -> None:
    """No task and no socket stays, and what comes later is told that it is closed."""
    async with connected([Commands()], answer_seconds=0.1) as (commands, server):
        with pytest.raises(RedisTimeoutError):
            await commands.execute("first")
        await server.until(lambda: server.requests == [b"first", b"PING"])
        await commands.aclose()
        with pytest.raises(RedisConnectionError, match="is closed"):
            commands.execute("late").result()
        await server.until(lambda: server.open == 0)


@pytest.mark.parametrize("word", ["READONLY", "MOVED 1 127.0.0.1:7000", "CLUSTERDOWN", "MASTERDOWN"])
async def test_a_server_that_does_not_serve_the_keys_is_left_at_once(word: str) -> None:
    """The replies beside that one are still taken, and the next command has a new connection without a wait."""
    replies = b":1\r\n-%b no\r\n:3\r\n" % word.encode()
    async with connected([Commands(4), Send(replies)], [Commands(), Send(OK)]) as (commands, server):
        *first, left = await asyncio.gather(*(commands.execute("a") for _ in range(4)), return_exceptions=True)
        assert (first[0], type(first[1]), first[2], type(left)) == (1, NotServingError, 3, NotServingError)
        assert await commands.execute("b") == b"OK"
        assert (server.accepted, server.open) == (2, 1)


async def test_a_slow_but_steady_store_is_not_given_up() -> None:
    """Only the oldest command's age counts, though one always waits."""
    count = 15
    steps: list[Step] = [Commands(), *(step for i in range(count) for step in (Commands(), Send(b":%d\r\n" % i)))]
    async with connected([*steps, Send(b":%d\r\n" % count)], answer_seconds=0.2) as (commands, server):
        oldest = commands.execute("slow", 0)
        for i in range(count):
            await asyncio.sleep(0.03)
            following = commands.execute("slow", i + 1)
            assert await oldest == i
            oldest = following
        assert await oldest == count
        assert server.accepted == 1
        await eventually(lambda: commands._timer is None)  # nothing to watch, so nothing wakes an idle process


@pytest.mark.parametrize(
    "garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b":1\r\n:2\r\n", b":1\r\n-ERR max number of clients reached\r\n"]
)
async def test_a_server_that_sends_garbage_or_more_than_asked_is_left(garbage: bytes) -> None:
    """The order of replies is lost with it."""
    async with connected([Commands(), Send(garbage)], [Commands(), Send(OK)]) as (commands, server):
        await asyncio.wait([commands.execute("a")])
        await server.until(lambda: server.open == 0)
        assert await retried(commands) == b"OK"
        assert server.accepted == 2


async def test_a_reply_without_end_is_not_kept() -> None:
    """Memory is bounded."""
    async with connected([Commands(), Send(b"$100000000\r\n" + b"x" * (REPLY_BYTES_MAX + 1))]) as (commands, _):
        with pytest.raises(RedisConnectionError, match=f"more than {REPLY_BYTES_MAX} bytes"):
            await commands.execute("a")


@pytest.mark.parametrize(
    ("login", "steps"),
    [(Address(), [Commands(), Close()]), (Address(password="x"), [Commands(), Send(OK), Commands(), Close()])],
)
async def test_a_server_that_only_hangs_up_is_left_alone_for_a_while(login: Address, steps: list[Step]) -> None:
    """Commands fail at once then, instead of one connection each."""
    async with connected(steps, login=login) as (commands, server):
        for _ in range(10):
            with pytest.raises(RedisConnectionError, match="lost"):
                await commands.execute("a")
        assert server.accepted == 1
        assert commands._retry_at - asyncio.get_running_loop().time() <= max(BACKOFF_SECONDS)


async def test_without_a_server_commands_fail_at_once_until_it_is_there() -> None:
    """All that waited for the connection, and those of the next moments; the message names the server."""
    async with ScriptedServer(SILENT) as server:
        port = server.port
    commands = Multiplexed(Address(host="127.0.0.1", port=port, password="hunter2"))
    replies = await asyncio.gather(*(commands.execute("a") for _ in range(3)), return_exceptions=True)
    for reply in replies:
        assert type(reply) is RedisConnectionError
        assert f"127.0.0.1:{port}" in str(reply)
        assert "hunter2" not in str(reply)
    with pytest.raises(RedisConnectionError, match="No connection to"):
        commands.execute("b").result()
    await commands.aclose()


async def test_login_and_database_come_before_the_first_command() -> None:
    """One after the other, since a refused login ends the connection."""
    steps = [step for _ in range(4) for step in (Commands(), Send(OK))]
    login = Address(username="gateway", password="hunter2", database=3, client_name="tiergate")
    async with connected(steps, login=login) as (commands, server):
        assert await commands.execute("GET", "k") == b"OK"
        assert server.requests == [b"AUTH gateway hunter2", b"SELECT 3", b"CLIENT SETNAME tiergate", b"GET k"]


async def test_a_refused_login_is_told_in_the_stores_words() -> None:
    """And the password is not."""
    async with connected([Commands(), Send(b"-WRONGPASS invalid password\r\n")], login=Address(password="hunter2")) as (
        commands,
        server,
    ):
        with pytest.raises(RedisConnectionError, match="WRONGPASS invalid password") as caught:
            await commands.execute("GET", "k")
        assert "hunter2" not in str(caught.value)
        assert server.requests == [b"AUTH hunter2"]


async def test_a_login_without_an_answer_is_given_up() -> None:
    """Connecting is bounded as a whole."""
    async with ScriptedServer([Commands()]) as server:
        commands = Multiplexed(Address(host="127.0.0.1", port=server.port, password="x"), connect_seconds=0.1)
        with pytest.raises(RedisConnectionError, match=r"within 0\.1 seconds"):
            await commands.execute("GET", "k")
        await server.until(lambda: server.open == 0)
        await commands.aclose()


@pytest.mark.parametrize("end", [[Send(OK), Close()], [Send(OK + OK)]])
async def test_a_connection_that_ends_right_after_the_login_is_none(end: list[Step]) -> None:
    """Its commands fail, and no line stays that nobody reads."""
    async with connected([Commands(), *end], login=Address(password="x")) as (commands, server):
        with pytest.raises(RedisConnectionError):
            await commands.execute("GET", "k")
        await server.until(lambda: server.open == 0)


async def test_waiting_commands_are_bounded() -> None:
    """Beyond the number one is refused at once, and those before it are served."""
    async with ScriptedServer([Commands(3), Send(b":1\r\n:2\r\n:3\r\n")]) as server:
        commands = Multiplexed(Address(host="127.0.0.1", port=server.port), waiting_max=3)
        accepted = [commands.execute(word) for word in "abc"]
        with pytest.raises(RedisConnectionError, match="3 commands wait"):
            await commands.execute("d")
        assert await asyncio.gather(*accepted) == [1, 2, 3]
        await commands.aclose()


async def test_a_server_that_does_not_read_holds_back_what_is_written() -> None:
    """The commands wait in their order, and go when there is room."""
    gate = asyncio.Event()
    large = b"x" * 1_000_000
    count = 12
    steps: list[Step] = [Commands(), Send(OK), Until(gate), Commands(count + 2), Send(b":1\r\n" * (count + 2))]
    async with connected(steps) as (commands, server):
        assert await commands.execute("first") == b"OK"
        replies = []
        for _ in range(count):
            replies.append(commands.execute("SET", large))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        replies += [commands.execute("one"), commands.execute("two")]
        await asyncio.sleep(0)
        assert len(commands._queued) >= 2
        gate.set()
        assert await asyncio.gather(*replies) == [1] * (count + 2)
        assert server.requests[-2:] == [b"one", b"two"]


class Writes:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        """As ``asyncio.Transport``."""
        self.written.append(data)


async def test_the_store_works_on_the_first_commands_of_a_turn_while_others_are_made() -> None:
    """A few leave together at once, the rest of the turn at its end."""
    async with connected([Commands(), Send(OK)]) as (commands, _):
        assert await commands.execute("first") == b"OK"
        await asyncio.sleep(0)
        line = commands._line
        assert line is not None
        transport, writes = line._transport, Writes()
        line._transport = cast("asyncio.Transport", writes)
        made = [commands.execute("a") for _ in range(2 * TOGETHER_MAX + 1)]
        packed = command("a")
        assert writes.written == [packed * TOGETHER_MAX] * 2
        await asyncio.sleep(0)
        assert writes.written[2:] == [packed]
        line._transport = transport
        line.end(RedisConnectionError("done"))
        assert all(isinstance(one.exception(), RedisConnectionError) for one in made)


async def test_closing_waits_for_what_is_under_way() -> None:
    """A settlement arrives; then everything is refused."""
    async with connected([Commands(2), Send(b":1\r\n+PONG\r\n")]) as (commands, _):
        last = commands.execute("settle")
        await commands.aclose()
        assert last.result() == 1
        with pytest.raises(RedisConnectionError, match="is closed"):
            await commands.execute("late")
        await commands.aclose()


async def test_closing_does_not_wait_for_ever() -> None:
    """Those who wait get an error."""
    async with ScriptedServer([Commands(2)]) as server:
        commands = Multiplexed(Address(host="127.0.0.1", port=server.port), answer_seconds=0.1)
        last = commands.execute("settle")
        await server.until(lambda: server.requests == [b"settle"])
        await commands.aclose()
        assert isinstance(last.exception(), RedisError)


async def test_closing_while_connecting_ends_that_too() -> None:
    """No task and no socket stays."""
    async with ScriptedServer([Receive()]) as server:
        commands = Multiplexed(Address(host="127.0.0.1", port=server.port, password="x"), answer_seconds=0.1)
        waits, gone = commands.execute("a"), commands.execute("b")
        gone.cancel()
        await server.until(lambda: server.open == 1)
        async with asyncio.timeout(1):
            await commands.aclose()
        assert isinstance(waits.exception(), RedisConnectionError)
        await server.until(lambda: server.open == 0)
