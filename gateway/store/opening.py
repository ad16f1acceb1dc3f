"""Opening the store that the tier map names."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from gateway.errors import StoreUnavailable
from gateway.store.address import Address
from gateway.store.cancellable import make_cancellable
from gateway.store.embedded import LOG_NAME, PATIENCE, Patience, Report, embedded_valkey, to_logging
from gateway.store.locating import Located, LocatedConnection, LocatedTlsConnection, Locator, follow, locator_of
from gateway.store.multiplexed import ANSWER_SECONDS, CONNECT_SECONDS, Multiplexed
from gateway.store.resp import command
from gateway.store.script import Commands
from gateway.store.url import StoreUrl, parse_store_url

EMBEDDED = "embedded"
CONNECTIONS_MAX = 32
"""Connections of one process; who needs one more waits for it as long as for an answer."""
IDLE_CHECK_SECONDS = 15.0
"""A connection that was idle this long is tried with a PING before it is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A store that can be used. ``client`` returns bytes; it reconnects by itself."""

    client: Redis = field(repr=False)
    commands: Commands = field(repr=False)
    """Where the commands of requests go; ``client`` is for seldom and for large ones."""
    description: str
    """Which store this is, for people: kind, host, port, database; never a password."""
    remedy: str
    """What to do when it does not answer."""

    async def ping(self) -> None:
        """Raise ``StoreUnavailable``, saying what is wrong and where, unless the store answers."""
        try:
            # The way that requests take: another one might answer while this one does not.
            await self.commands.send(command("PING"))
        except (RedisError, OSError) as error:
            raise StoreUnavailable(
                f"The store, {self.description}, does not answer ({type(error).__name__}: {error}). {self.remedy}",
                retry_after_seconds=1.0,
            ) from error


@asynccontextmanager
async def open_store(
    url: str, *, data_directory: Path, patience: Patience = PATIENCE, report: Report = to_logging
) -> AsyncIterator[Store]:
    """Open ``url``: ``embedded``, or one that ``gateway.store.url`` reads.

    A store elsewhere need not answer yet: it is connected to when it is used. The embedded one is started
    here, keeps its data in ``data_directory`` and ends with the context; ``patience`` is only for it, and
    ``report`` is told when it dies and comes back.

    Raises:
        ValueError: ``url`` is none of these; the message does not repeat it, since it may hold a password.
        StoreUnavailable: The embedded store could not be started.
    """
    if url == EMBEDDED:
        async with (
            embedded_valkey(data_directory, patience=patience, report=report) as socket,
            _connected(parse_store_url(f"unix://{quote(str(socket))}")) as (client, commands),
        ):
            server = await client.info("server")
            yield Store(
                client=client,
                commands=commands,
                description=f"embedded Valkey {server['valkey_version']} at {data_directory}",
                remedy=f"It is started again by itself; its log is {data_directory / LOG_NAME}.",
            )
    else:
        parsed = parse_store_url(url)
        async with _connected(parsed) as (client, commands):
            yield Store(
                client=client,
                commands=commands,
                description=parsed.description,
                remedy="Start it, or correct `store` in the tier map.",
            )


@asynccontextmanager
async def _connected(url: StoreUrl) -> AsyncIterator[tuple[Redis, Multiplexed]]:
    pool = BlockingConnectionPool.from_url(
        url.plain,
        max_connections=CONNECTIONS_MAX,
        timeout=ANSWER_SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        health_check_interval=IDLE_CHECK_SECONDS,
        protocol=2,  # known to every server and proxy, and connects without a handshake
        # Once more where a connection was lost, since every verb may be repeated. Silence is not retried: it
        # has cost its time already.
        retry=Retry(
            ExponentialWithJitterBackoff(base=0.05, cap=0.2),
            retries=1,
            supported_errors=(RedisConnectionError,),
        ),
    )
    try:
        # A connection is made only later, so an unknown option in the URL would be found by the first
        # request.
        address = Address.of(pool.connection_class(**pool.connection_kwargs), pool.connection_kwargs)
    except TypeError as error:
        raise ValueError(f"the store's URL has an option that the client does not know: {error}") from error
    except (OSError, RedisError) as error:
        raise ValueError(f"the store's URL has TLS options that cannot be used: {error}") from error
    where: Address | Located = address
    if url.nodes:
        locator = locator_of(url, pool.connection_kwargs, tls=address.tls is not None)
        where = Located(locator, address)
        _follow(pool, locator, tls=address.tls is not None)
    make_cancellable(pool)
    client = Redis.from_pool(pool)
    commands = Multiplexed(
        where,
        answer_seconds=pool.connection_kwargs["socket_timeout"],
        connect_seconds=pool.connection_kwargs["socket_connect_timeout"],
    )

    async def leave() -> None:
        commands.leave("The store has moved to another server.")
        await pool.disconnect(inuse_connections=False)

    following = None
    if url.service and isinstance(where, Located):
        following = asyncio.get_running_loop().create_task(follow(where, leave))
    try:
        yield client, commands
    finally:
        if following is not None:
            following.cancel()
            await asyncio.wait([following])
        await commands.aclose()
        await client.aclose()


def _follow(pool: BlockingConnectionPool, locator: Locator, *, tls: bool) -> None:
    """Have the pool's connections look for the store each time."""
    settings: dict[str, Any] = pool.connection_kwargs
    settings["locator"] = locator
    pool.connection_class = LocatedTlsConnection if tls else LocatedConnection
