"""The HTTP server's life: uvicorn's server, with an end that no client notices who reads its answers.

At the first signal ``/readyz`` says 503, and answers ask their clients to come back on another connection. New
connections are accepted for ``drain_delay_seconds`` more, until load balancers have noticed; then none is. Answers
under way may end within ``drain_seconds``. A connection without one is kept for a moment, since its client may be
sending at this very time: what comes is answered, as the connection's last.
"""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.api import Gateway
from gateway.descriptors import Report, connections_max
from gateway.front.door import CONNECTIONS_MAX
from gateway.front.protocol import FrontProtocol, protocol_of
from gateway.serving import Serving
from gateway.settings import Settings

BACKLOG = 4096
KEEP_ALIVE_SECONDS = 75
LINGER_SECONDS = 3.0
"""How long a connection without a request is kept at the end."""
CUT_SECONDS = 3.0
"""How long requests that were cut off have to be settled."""
_LOOK_SECONDS = 0.05
_STOPPING = (signal.SIGTERM, signal.SIGINT)


class Server(uvicorn.Server):
    """Serves ``gateway`` until SIGTERM or SIGINT, without raising them again: a wanted stop is a success."""

    def __init__(
        self,
        gateway: Gateway,
        serving: Serving,
        settings: Settings,
        *,
        unready: Callable[[], None],
        report: Report,
    ) -> None:
        """``unready`` flips readiness; ``report`` is told of requests that are cut off."""
        config = uvicorn.Config(
            gateway,
            # What is not a plain metered request goes to uvicorn's own.
            http=protocol_of(serving, connections_max=connections_max(CONNECTIONS_MAX)),
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="warning",
            server_header=False,
            date_header=False,
            proxy_headers=False,
            backlog=BACKLOG,  # uvicorn listens again on the socket that it is given
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        super().__init__(config)
        self._serving = serving
        self._settings = settings
        self._unready = unready
        self._report = report
        self._stopping = False

    async def serve_until_stopped(
        self, listeners: Sequence[socket.socket], announce: Callable[[], None], hang_up: Callable[[], None]
    ) -> None:
        """Serve until a signal; a second one ends open answers at once.

        ``announce`` is called once it begins, ``hang_up`` at each SIGHUP.
        """
        loop = asyncio.get_running_loop()
        for number in _STOPPING:
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, hang_up)
        loop.add_signal_handler(signal.SIGUSR2, _nothing)
        try:
            announce()
            await self.serve(sockets=list(listeners))
        finally:
            for number in (*_STOPPING, signal.SIGHUP, signal.SIGUSR2):
                loop.remove_signal_handler(number)

    def leave(self) -> None:
        """Another process has taken this one's place: accept no connection from now on, and end as at a signal."""
        self._stopping = self._serving.leaving = self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Uvicorn's own handling, which would raise the signal again at the end, is not wanted."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let answers end, and close what is left. Uvicorn calls it."""
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        self._serving.leaving = True
        seconds = self._settings.drain_seconds
        for connection in list(self._connections):
            _let_end(connection, min(LINGER_SECONDS, seconds))
        loop = asyncio.get_running_loop()
        latest = loop.time() + seconds
        while (self._connections or self._requests) and not self.force_exit and loop.time() < latest:  # noqa: ASYNC110 - uvicorn's sets, which tell nobody
            await asyncio.sleep(_LOOK_SECONDS)
        await self._cut()

    async def _cut(self) -> None:
        """End what is still there; what it has cost is settled."""
        requests = set(self._requests)
        if requests:
            self._report("requests.cut", count=len(requests))
        for request in requests:
            request.cancel()
        if requests:
            await asyncio.wait(requests, timeout=CUT_SECONDS)
        for connection in list(self._connections):
            connection.transport.abort()

    def _stop(self) -> None:
        self._unready()
        self._serving.leaving = True
        if self._stopping:
            self.force_exit = self.should_exit = True
            # From Python 3.12 on a server is closed only when its connections are.
            for connection in list(self._connections):
                connection.transport.abort()
            return
        self._stopping = True
        asyncio.get_running_loop().call_later(self._settings.drain_delay_seconds, self._exit)

    def _exit(self) -> None:
        self.should_exit = True

    @property
    def _connections(self) -> set[Any]:
        """Uvicorn's type for them knows its own protocols only."""
        return self.server_state.connections

    @property
    def _requests(self) -> set["asyncio.Task[None]"]:
        return self.server_state.tasks


def _nothing() -> None:
    """SIGUSR2 is for the parent of several processes; anywhere else it would end the process."""


def _let_end(connection: FrontProtocol | HttpToolsProtocol, seconds: float) -> None:
    """Let a connection end without its client being told too late: an answer says so, or it has been idle a while."""
    if isinstance(connection, FrontProtocol):
        connection.drain(seconds)
        return
    connection.timeout_keep_alive = ceil(seconds)  # uvicorn counts whole seconds
    if _idle(connection):
        connection.loop.call_later(seconds, _close_idle, connection)
    elif not connection.cycle.response_started:
        connection.cycle.keep_alive = False


def _close_idle(connection: HttpToolsProtocol) -> None:
    if _idle(connection):
        connection.transport.close()


def _idle(connection: HttpToolsProtocol) -> bool:
    # Before its first request a connection has no cycle, whatever uvicorn's annotation says.
    cycle: Any = connection.cycle
    return cycle is None or cycle.response_complete
