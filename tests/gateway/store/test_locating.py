"""Looking for a store, with locators that say what a test wants; against real servers in ``tests/integration``."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from redis.asyncio import Redis
from redis.crc import key_slot
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from gateway.store.address import Address
from gateway.store.locating import KEY, Cluster, Located, Sentinels, follow, locator_of
from gateway.store.url import Node, parse_store_url
from tests.doubles.scripted_server import ScriptedServer, Send
from tests.doubles.store_steps import OK, Commands

HOST = "127.0.0.1"


class Says:
    """A locator that says one answer after the other, and the last one again and again."""

    name = "the store of a test"

    def __init__(self, *answers: Node | Exception) -> None:
        self.asked = 0
        self._answers: Sequence[Node | Exception] = answers

    async def locate(self) -> Node:
        """As ``Locator`` asks."""
        answer = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_a_store_is_looked_for_until_it_is_there() -> None:
    """Nobody knows it at first, then it is not there any more, then it is."""
    async with ScriptedServer([]) as gone:
        old = gone.port
    async with ScriptedServer([Commands(), Send(OK)]) as server:
        says = Says(RedisConnectionError("none"), (HOST, old), (HOST, server.port))
        line = await Located(says, Address(), patience_seconds=5).open(asyncio.get_running_loop())
        assert await line.ask(b"*1\r\n$4\r\nPING\r\n") == b"OK"
        assert says.asked == 3
        line.end(RedisConnectionError("done"))
        await line.gone


async def test_a_store_that_is_nowhere_is_given_up_with_the_last_trouble() -> None:
    """Within the patience."""
    says = Says(RedisConnectionError("nobody knows"))
    loop = asyncio.get_running_loop()
    begun = loop.time()
    with pytest.raises(RedisTimeoutError, match=r"of a test was not found within 0\.3 seconds .*nobody knows"):
        await Located(says, Address(), patience_seconds=0.3).open(loop)
    assert loop.time() - begun < 1
    assert says.asked > 1


async def test_a_refused_login_is_told_at_once() -> None:
    """Looking again would not help."""
    async with ScriptedServer([Commands(), Send(b"-WRONGPASS no\r\n")]) as server:
        says = Says((HOST, server.port))
        with pytest.raises(AuthenticationError):
            await Located(says, Address(password="x"), patience_seconds=5).open(asyncio.get_running_loop())
        assert says.asked == 1


async def test_a_store_that_moved_while_it_was_well_is_left() -> None:
    """Once it is known; that nobody knows is no reason."""
    async with ScriptedServer([]) as server:
        here = (HOST, server.port)
        says = Says(here, here, RedisConnectionError("nobody knows"), (HOST, 1))
        located = Located(says, Address())
        assert not await located.moved()
        line = await located.open(asyncio.get_running_loop())
        left = asyncio.Event()

        async def leave() -> None:
            left.set()

        following = asyncio.get_running_loop().create_task(follow(located, leave, seconds=0.01))
        async with asyncio.timeout(5):
            await left.wait()
        following.cancel()
        assert says.asked >= 4
        line.end(RedisConnectionError("done"))
        await line.gone


def test_whoever_is_asked_is_asked_over_tls_where_the_store_is() -> None:
    """With the same options, and never with the store's login at Sentinels."""
    url = parse_store_url("rediss+sentinel://me:hunter2@one/main?sentinel_username=you")
    settings = {"username": "me", "password": "hunter2", "ssl_ca_certs": "/ca.pem", "db": 0}
    sentinels = locator_of(url, settings, tls=True)
    assert isinstance(sentinels, Sentinels)
    asking = sentinels._settings
    assert (asking["ssl"], asking["ssl_ca_certs"], asking["username"]) == (True, "/ca.pem", "you")
    assert asking["password"] is None
    cluster = locator_of(parse_store_url("redis+cluster://me:hunter2@one"), settings, tls=False)
    assert isinstance(cluster, Cluster)
    assert (cluster._settings["ssl"], cluster._settings["username"]) == (False, "me")
    assert "ssl_ca_certs" not in cluster._settings
    Redis(**asking)  # it takes all of them


SLOT = key_slot(KEY.encode())


@pytest.fixture
async def telling(unused_tcp_port_factory: Callable[[], int]) -> AsyncIterator[tuple[int, int]]:
    """A node that tells of the cluster, and a port at which there is none."""
    port, nowhere = unused_tcp_port_factory(), unused_tcp_port_factory()
    ranges = f"*2\r\n*3\r\n:0\r\n:{SLOT - 1}\r\n*2\r\n$5\r\nother\r\n:1\r\n"
    ranges += f"*4\r\n:{SLOT}\r\n:16383\r\n*2\r\n$0\r\n\r\n:{port}\r\n*2\r\n$7\r\nreplica\r\n:2\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if line.strip() == b"SLOTS":
                writer.write(ranges.encode())
            elif line.strip() == b"SETINFO":
                writer.write(b"+OK\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", port):
        yield port, nowhere


async def test_the_owner_is_who_has_the_keys_slot_and_an_unnamed_host_is_the_one_that_was_asked(
    telling: tuple[int, int],
) -> None:
    """A node that is not there is passed over, whichever is asked first; whoever is heard of is asked the next time."""
    port, nowhere = telling
    for _ in range(8):
        cluster = Cluster([("127.0.0.1", nowhere), ("127.0.0.1", port)], {"protocol": 2})
        assert await cluster.locate() == ("127.0.0.1", port)
    assert cluster._heard == (("other", 1), ("127.0.0.1", port), ("replica", 2))


async def test_where_no_node_tells_that_is_said_with_the_latest_reason(
    unused_tcp_port_factory: Callable[[], int],
) -> None:
    cluster = Cluster([("127.0.0.1", unused_tcp_port_factory())], {"protocol": 2})
    with pytest.raises(RedisConnectionError, match=r"no node of the cluster tells .*\(ConnectionError: "):
        await cluster.locate()


def test_slots_that_nobody_owns_are_said() -> None:
    with pytest.raises(RedisConnectionError, match="No node of the cluster owns"):
        Cluster([], {})._owner([[0, SLOT - 1, [b"other", 1]]], asked="here")
