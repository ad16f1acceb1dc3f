"""Where the store is and how to get in: from redis-py's own settings to an open connection."""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from redis.asyncio.connection import AbstractConnection, SSLConnection
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.store.line import Line
from gateway.store.resp import command

IDLE_PROBE_SECONDS = 15
"""A connection that is idle for so long is probed by the kernel; three unanswered probes end it."""
_PROBES = 3
_PROBE_SECONDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One server. ``path`` is a unix socket, used in place of ``host`` and ``port``."""

    host: str = "localhost"
    port: int = 6379
    path: str | None = None
    database: int = 0
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    client_name: str | None = None
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    @classmethod
    def of(cls, connection: AbstractConnection, settings: Mapping[str, Any]) -> Self:
        """What redis-py would connect to.

        Args:
            connection: One made with ``settings``, not connected; it holds the TLS context.
            settings: A pool's ``connection_kwargs``, as parsed from a URL.
        """
        return cls(
            host=settings.get("host") or "localhost",
            port=settings.get("port") or 6379,
            path=settings.get("path"),
            database=int(settings.get("db") or 0),
            username=settings.get("username"),
            password=settings.get("password"),
            client_name=settings.get("client_name"),
            tls=connection.ssl_context.get() if isinstance(connection, SSLConnection) else None,
        )

    @property
    def name(self) -> str:
        """For messages; no secrets."""
        return f"the store at {self.path or f'{self.host}:{self.port}'}"

    async def open(self, loop: asyncio.AbstractEventLoop) -> Line:
        """Connect, log in and choose the database.

        Raises:
            OSError: There is no connection, or TLS fails.
            RedisError: The server refuses the login or the database, or ends the connection.
        """
        line = Line(loop, self.name)
        if self.path is not None:
            await loop.create_unix_connection(lambda: line, self.path)
        else:
            transport, _ = await loop.create_connection(
                lambda: line, self.host, self.port, ssl=self.tls, server_hostname=self.host if self.tls else None
            )
            _keep_alive(transport.get_extra_info("socket"))
        try:
            # Asked one after the other: a server that refuses the login ends the connection.
            for parts in self._greeting():
                await line.ask(command(*parts))
        except BaseException as error:
            line.end(RedisConnectionError(str(error)))
            raise
        return line

    def _greeting(self) -> list[tuple[str | int, ...]]:
        commands: list[tuple[str | int, ...]] = []
        if self.password is not None:
            commands.append(
                ("AUTH", self.password) if self.username is None else ("AUTH", self.username, self.password)
            )
        if self.database:
            commands.append(("SELECT", self.database))
        if self.client_name is not None:
            commands.append(("CLIENT", "SETNAME", self.client_name))
        return commands


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE_PROBE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _PROBE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
