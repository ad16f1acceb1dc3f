"""A way to one endpoint: its keep-alive connections, and how a request finds one."""

import asyncio
import os
import socket
import ssl
from typing import Final

from gateway.errors import UpstreamFailed, UpstreamUnreachable
from gateway.upstream.connection import Connection
from gateway.upstream.head import HeadWriter
from gateway.upstream.response import Response
from gateway.upstream.tls import ResumingContext, client_context
from gateway.upstream.transport import UpstreamRequest
from gateway.upstream.url import parse_address
from tiers.tiermap import Timeouts

CONNECTIONS_MAX: Final = 10_000
"""Open connections to one endpoint; admission bounds them long before, this is the last fence."""
IDLE_MAX: Final = 1_000
"""Connections to one endpoint that are kept for later."""
IDLE_SECONDS: Final = 4.0
"""How long a connection is kept: less than the 5 s after which vLLM, by uvicorn, closes an idle one."""

_TIMER_SLACK_SECONDS: Final = 0.002
"""Loops round timers to milliseconds; a connection this close to its end is as good as expired."""


class HttpTransport:
    """HTTP/1.1 to one endpoint over a pool of keep-alive connections; fulfils ``Transport``.

    The connection that was used last is used first, so that those which are not needed grow old and close.

    **Sending a request twice.** A server may close an idle connection at the very moment a request is sent on
    it. So a request on a *reused* connection that is closed or reset before a single byte of the answer came
    is sent once more, on a fresh connection. That never happens after a byte of the answer, after a time
    limit, on a connection that was fresh, or a second time. RFC 9112 §9.3.1 allows it for idempotent methods,
    and RFC 9110 §9.2.2 for others where the client knows that their meaning is idempotent: the operations
    served here compute an answer from the request and change nothing, so the worst case is an endpoint that
    computes it twice.

    Args:
        url: The endpoint's base URL; see ``Address`` for what it is joined with.
        timeouts: ``connect``, ``headers`` and ``idle`` are kept here; ``first_token`` and ``total`` are the caller's.
        ssl_context: For ``https``; by default the system's authorities are trusted and sessions resumed.
        connections_max: See ``CONNECTIONS_MAX``.
        idle_max: See ``IDLE_MAX``; 0 means that no connection is used twice, and says so to the endpoint.
        idle_seconds: See ``IDLE_SECONDS``.

    Raises:
        ValueError: The URL is not one that can be called.
    """

    def __init__(
        self,
        url: str,
        timeouts: Timeouts,
        *,
        ssl_context: ssl.SSLContext | None = None,
        connections_max: int = CONNECTIONS_MAX,
        idle_max: int = IDLE_MAX,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._address = parse_address(url)
        self._peer = self._address.name
        self._timeouts = timeouts
        self._ssl = (ssl_context or client_context()) if self._address.secure else None
        self._head = HeadWriter(self._address, keep_alive=idle_max > 0)
        self._connections_max = connections_max
        self._idle_max = idle_max
        self._idle_seconds = idle_seconds
        self._open: set[Connection] = set()
        self._idle: dict[Connection, float] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def send(self, request: UpstreamRequest) -> Response:
        """Send a request and wait for the head of its answer. See ``Transport``."""
        # Asked once: Python 3.11 makes a system call of it.
        loop = self._loop = self._loop or asyncio.get_running_loop()
        head = self._head.write(request)
        reused = self._newest_idle(loop)
        if reused is not None:
            response = self._begin(loop, reused, head, request)
            try:
                await _head_of(response)
            except UpstreamFailed:
                if not response.unanswered:
                    raise
            else:
                return response
        response = self._begin(loop, await self._connect(loop), head, request)
        await _head_of(response)
        return response

    async def aclose(self) -> None:
        """Close idle connections now and the others when their answers end; ``send`` fails from now on."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        doomed = list(self._idle)
        self._idle.clear()
        for connection in doomed:
            connection.abort()
        for connection in doomed:
            await connection.gone()

    def idle(self, connection: Connection) -> None:
        """Connection: it is ready for another request."""
        if self._closed or len(self._idle) >= self._idle_max:
            connection.abort()
            return
        loop = self._loop = self._loop or asyncio.get_running_loop()
        now = loop.time()
        self._idle[connection] = now
        if self._sweep is None:
            self._sweep = loop.call_at(now + self._idle_seconds, self._close_old, loop)
        if isinstance(self._ssl, ResumingContext) and self._ssl.session is None:
            self._ssl.remember(connection.tls)

    def lost(self, connection: Connection) -> None:
        """Connection: it is closed."""
        self._open.discard(connection)
        self._idle.pop(connection, None)
        if isinstance(self._ssl, ResumingContext):
            self._ssl.remember(connection.tls)

    def _begin(
        self, loop: asyncio.AbstractEventLoop, connection: Connection, head: bytes, request: UpstreamRequest
    ) -> Response:
        response = Response(loop, connection, self._peer, self._timeouts, bodyless=request.method == b"HEAD")
        connection.begin(response, head, request.body)
        return response

    def _newest_idle(self, loop: asyncio.AbstractEventLoop) -> Connection | None:
        """Take the connection out of the pool that was used last, or ``None``."""
        while self._idle:
            connection, since = self._idle.popitem()
            if connection.usable and since + self._idle_seconds > loop.time():
                return connection
            connection.abort()
        return None

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> Connection:
        if self._closed:
            raise UpstreamUnreachable(f"No request can be sent to {self._peer} any more: the gateway is closing.")
        if len(self._open) >= self._connections_max:
            raise UpstreamUnreachable(
                f"{len(self._open)} connections to {self._peer} are open, as many as may be. "
                "Try again later, or give the tier fewer slots."
            )
        address, limit = self._address, self._timeouts.connect
        connection = Connection(loop, self)
        self._open.add(connection)
        connected = False
        try:
            async with asyncio.timeout(limit):
                await loop.create_connection(
                    lambda: connection,
                    address.host,
                    address.port,
                    ssl=self._ssl,
                    server_hostname=address.host if self._ssl is not None else None,
                )
            connected = True
        except TimeoutError as error:
            raise UpstreamUnreachable(
                f"{self._peer} took no connection within {limit:g} s (timeout connect). "
                "Check that the endpoint runs and that its URL is right."
            ) from error
        except OSError as error:
            raise UpstreamUnreachable(
                f"No connection to {self._peer} could be made: {_reason(error)}. "
                "Check that the endpoint runs and that its URL is right."
            ) from error
        finally:
            if not connected:
                self._open.discard(connection)
                connection.abort()
        return connection

    def _close_old(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the connections that were idle too long; the oldest stand first."""
        self._sweep = None
        now = loop.time() + _TIMER_SLACK_SECONDS
        for connection, since in list(self._idle.items()):
            if since + self._idle_seconds > now:
                self._sweep = loop.call_at(since + self._idle_seconds, self._close_old, loop)
                break
            del self._idle[connection]
            connection.abort()


async def _head_of(response: Response) -> None:
    """Wait for the head; on every other way out, cancellation included, the connection is closed."""
    try:
        await response.head()
    except BaseException:
        response.leave()
        raise


def _reason(error: OSError) -> str:
    """Why no connection could be made, in the words of the operating system or of TLS."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if error.errno is not None and not isinstance(error, (ssl.SSLError, socket.gaierror)):
        return os.strerror(error.errno)  # asyncio puts a text of its own in its place
    return error.strerror or str(error) or type(error).__name__
