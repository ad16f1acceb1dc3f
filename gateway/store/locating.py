"""Where the store is now, where that may change: Sentinels or a cluster's nodes are asked before each connection."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from random import shuffle
from typing import Any, Protocol

from redis.asyncio import Connection, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import (
    AuthenticationError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    ReadOnlyError,
    RedisError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.utils import str_if_bytes

from gateway.store.address import Address
from gateway.store.line import Line
from gateway.store.url import Node, StoreUrl

KEY = "{tiergate}"
"""What all keys begin with: the cluster's node that owns it has all of them."""
PATIENCE_SECONDS = 1.5
"""How long a new connection looks for the store: less than connecting may take, so that it can say what was wrong."""
TRY_SECONDS = 0.7
"""How long one try may take; another may find that the store has moved on."""
PAUSE_SECONDS = 0.1
FOLLOW_SECONDS = 1.0
"""How often the Sentinels are asked whether the master is still the one that is connected to."""
ASK_SECONDS = 0.5
"""How long one Sentinel or node may take to answer; then the next is asked."""


class Locator(Protocol):
    """Who knows where the store is. ``name`` is for messages, without secrets."""

    @property
    def name(self) -> str:
        """Which store it knows."""

    async def locate(self) -> Node:
        """Where the store is now. Raises ``RedisError`` or ``OSError`` where nobody knows."""


class Sentinels:
    """The master of a service, as the first Sentinel says that answers and knows it."""

    def __init__(self, nodes: Sequence[Node], service: str, settings: Mapping[str, Any]) -> None:
        """``settings`` are redis-py's for connections to the Sentinels."""
        self.name = f"the store {service!r} of the Sentinels"
        self._nodes = list(nodes)
        self._service = service
        self._settings = settings

    async def locate(self) -> Node:
        """See ``Locator``."""
        sentinel = Sentinel(self._nodes, sentinel_kwargs=dict(self._settings))  # type: ignore[no-untyped-call]
        try:
            host, port = await sentinel.discover_master(self._service)
        finally:
            for client in sentinel.sentinels:
                await client.aclose()
        return str(host), int(port)


class Cluster:
    """The node that owns the store's keys. Every node that was heard of is remembered to be asked."""

    def __init__(self, nodes: Sequence[Node], settings: Mapping[str, Any]) -> None:
        """``settings`` are redis-py's for connections to the nodes."""
        self.name = "the store in the cluster"
        self._first = tuple(nodes)
        self._heard: tuple[Node, ...] = ()
        self._settings = settings

    async def locate(self) -> Node:
        """See ``Locator``. In no order: a node that is cut off may tell for long what was once true."""
        nodes = list(dict.fromkeys((*self._heard, *self._first)))
        shuffle(nodes)
        trouble: Exception | None = None
        for host, port in nodes:
            client = Redis(host=host, port=port, **self._settings)
            try:
                ranges = await client.execute_command("CLUSTER SLOTS")  # type: ignore[no-untyped-call]
            except AuthenticationError:
                raise
            except (OSError, RedisError) as error:
                trouble = error
            else:
                return self._owner(ranges, asked=host)
            finally:
                await client.aclose()
        told = f"{type(trouble).__name__}: {trouble}"
        raise RedisConnectionError(f"no node of the cluster tells who owns the store's keys ({told})") from trouble

    def _owner(self, ranges: Sequence[Any], *, asked: str) -> Node:
        """Who owns the keys, by an answer to ``CLUSTER SLOTS``: of each range its ends, its primary, its replicas."""
        slot = key_slot(KEY.encode())
        self._heard = tuple(dict.fromkeys(_node(each, asked) for _, _, *nodes in ranges for each in nodes))
        owner = next((_node(primary, asked) for first, last, primary, *_ in ranges if first <= slot <= last), None)
        if owner is None:
            raise RedisConnectionError("No node of the cluster owns the store's keys.")
        return owner


def _node(told: Sequence[Any], asked: str) -> Node:
    """Host and port; a node that does not know its own host is where it was asked."""
    return str_if_bytes(told[0]) or asked, int(told[1])


class Located:
    """An ``Address`` that is looked up for each connection, again and again while a fail-over goes on."""

    def __init__(self, locator: Locator, template: Address, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """``template`` is all of the address but the host and the port."""
        self.name = locator.name
        self.found: Node | None = None
        """Where the latest connection went to."""
        self._locator = locator
        self._template = template
        self._patience_seconds = patience_seconds

    async def open(self, loop: asyncio.AbstractEventLoop) -> Line:
        """Connect to where the store is.

        Raises:
            AuthenticationError: It is there, and refuses the login.
            redis.exceptions.TimeoutError: It was not found within the patience; the message says what was wrong last.
        """
        due = loop.time() + self._patience_seconds
        while True:
            trouble: Exception
            try:
                async with asyncio.timeout_at(min(due, loop.time() + TRY_SECONDS)):
                    found = await self._locator.locate()
                    line = await replace(self._template, host=found[0], port=found[1]).open(loop)
                    self.found = found
                    return line
            except AuthenticationError:
                raise
            except (OSError, RedisError) as error:
                trouble = error
            if loop.time() + PAUSE_SECONDS >= due:
                raise RedisTimeoutError(
                    f"{self.name} was not found within {self._patience_seconds:g} seconds"
                    f" ({type(trouble).__name__}: {trouble})"
                ) from trouble
            await asyncio.sleep(PAUSE_SECONDS)

    async def moved(self) -> bool:
        """Whether the store is elsewhere by now; ``False`` where nobody knows."""
        try:
            async with asyncio.timeout(TRY_SECONDS):
                return self.found is not None and await self._locator.locate() != self.found
        except (OSError, RedisError):
            return False


async def follow(located: Located, leave: Callable[[], Awaitable[None]], *, seconds: float = FOLLOW_SECONDS) -> None:
    """Call ``leave`` whenever the store has moved, until cancelled.

    A master that Sentinels replaced while it was well goes on for ten seconds and more before they tell it so, and all
    that it takes meanwhile is lost.
    """
    while True:
        await asyncio.sleep(seconds)
        if await located.moved():
            await leave()


class LocatedConnection(Connection):
    """redis-py's connection, to where the store is when it connects; left where that server does not serve any more."""

    def __init__(self, *, locator: Locator, **settings: Any) -> None:  # noqa: ANN401 - redis-py's
        super().__init__(**settings)
        self._locator = locator

    async def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = True) -> None:  # noqa: FBT001, FBT002 - redis-py's
        """See redis-py."""
        if not self.is_connected:
            self.host, self.port = await self._locator.locate()
        await super().connect_check_health(check_health=check_health, retry_socket_connect=retry_socket_connect)

    async def read_response(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - redis-py's
        """See redis-py."""
        try:
            return await super().read_response(*arguments, **options)
        except (ReadOnlyError, MovedError, ClusterDownError, MasterDownError) as error:
            await self.disconnect()
            raise RedisConnectionError(f"The server does not serve the store's keys any more: {error}") from error


class LocatedTlsConnection(LocatedConnection, SSLConnection):
    """The same over TLS."""


def locator_of(url: StoreUrl, settings: Mapping[str, Any], *, tls: bool) -> Locator:
    """Who knows where the store of ``url`` is, which names several servers.

    Args:
        url: A store behind Sentinels, or in a cluster.
        settings: redis-py's for connections to the store. Its options of TLS hold for whoever is asked, too.
        tls: Whether TLS is spoken, with all of them.
    """
    asking: dict[str, Any] = {key: value for key, value in settings.items() if key.startswith("ssl_")} if tls else {}
    asking |= {
        "socket_timeout": ASK_SECONDS,
        "socket_connect_timeout": ASK_SECONDS,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "ssl": tls,
    }
    if url.service:
        login = {"username": url.sentinel_username, "password": url.sentinel_password}
        return Sentinels(url.nodes, url.service, asking | login)
    return Cluster(url.nodes, asking | {key: settings.get(key) for key in ("username", "password")})
