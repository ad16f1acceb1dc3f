"""The server's side of one connection, as long as it asks for metered operations in the plain shape.

A request that is anything else goes, with every byte since its beginning, to uvicorn's own protocol, and so does all
that follows on its connection: no request is ever read by both, and no byte twice.

The end of what a client sends counts as its leaving, as it does with uvicorn: a client that gave up and one that only
closed its sending half look the same, and of the two the first would cost a GPU.
"""

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any, Protocol, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.downstream import Client, body_too_slow
from gateway.front.answer_head import AnswerHeads
from gateway.front.client import HotClient
from gateway.front.door import CONNECTIONS_MAX, LINGER_SECONDS, Door
from gateway.front.guarded import AHEAD_BYTES_MAX, GuardedProtocol
from gateway.front.head import HeadReader
from gateway.front.watch import STALL_SECONDS
from gateway.wire.pace import body_due
from gateway.wire.request_head import RequestHead


class Serving(Protocol):
    """What serves a request: the pipeline."""

    def serve(self, head: RequestHead, client: Client) -> Coroutine[Any, Any, None]:
        """Serve one request from its first byte to its record."""


def protocol_of(pipeline: Serving, *, connections_max: int = CONNECTIONS_MAX) -> type[asyncio.Protocol]:
    """What uvicorn's ``http`` setting takes, with ``pipeline`` behind it.

    ``connections_max`` is how many connections may be open at once; one more is answered with ``GatewayFull``.
    """
    made = partial(FrontProtocol, pipeline, Door(connections_max), AnswerHeads())
    return cast("type[asyncio.Protocol]", made)  # it is only ever called


class FrontProtocol(asyncio.Protocol):
    """Serves plain requests one after the other; the first that is not plain moves the connection to uvicorn's.

    Attributes:
        closing, heads, loop, task, transport, write_paused: See ``gateway.front.client.Connection``.
    """

    __slots__ = (
        "_ahead",
        "_app_state",
        "_body_begun",
        "_body_taken",
        "_client",
        "_config",
        "_deadline",
        "_door",
        "_heads",
        "_idle_seconds",
        "_left",
        "_missing",
        "_next_came",
        "_pieces",
        "_pipeline",
        "_read_paused",
        "_request",
        "_state",
        "_timer",
        "_timer_at",
        "_unsent",
        "closing",
        "heads",
        "loop",
        "task",
        "transport",
        "write_paused",
    )

    transport: asyncio.Transport

    def __init__(
        self,
        pipeline: Serving,
        door: Door,
        heads: AnswerHeads,
        *,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """``pipeline``, ``door`` and ``heads`` are shared; the rest is what uvicorn gives each of its protocols.

        Its ``timeout_keep_alive`` bounds the time between two requests, and that before the first.
        """
        self._pipeline = pipeline
        self._door = door
        self._config = config
        self._state = server_state
        self._app_state = app_state
        self._idle_seconds = float(config.timeout_keep_alive)
        self.loop = _loop if _loop is not None else asyncio.get_running_loop()
        self._heads = HeadReader()
        self.heads = heads
        self._client: HotClient | None = None
        self._request: RequestHead | None = None
        self.task: asyncio.Task[None] | None = None
        self._next_came: asyncio.Future[None] | None = None
        self._missing = self._body_taken = 0
        self._body_begun = 0.0
        self._pieces: list[bytes] = []
        self._ahead = b""
        self._read_paused = self._left = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = self._deadline = 0.0
        self._unsent = 0
        self.closing = self.write_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.BaseProtocol``."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's does not derive from it
        connections = self._connections
        if len(connections) >= self._door.connections_max:
            self._door.turn_away(self.transport, self.loop)
            return
        connections.add(self)
        self._expect(self._idle_seconds)

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        if self._missing:
            data = self._body(data)
            if not data:
                return
        if self._client is None:
            self._begin(data)
            return
        self._ahead += data
        if len(self._ahead) > AHEAD_BYTES_MAX and not self._read_paused:
            self._read_paused = True
            self.transport.pause_reading()

    def eof_received(self) -> None:
        """See ``asyncio.Protocol``: the transport closes, and the client is gone already."""
        self._expect_reading()
        self._leave()

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.BaseProtocol``."""
        del exc
        self._connections.discard(self)
        self._disarm()
        self._leave()

    def pause_writing(self) -> None:
        """See ``asyncio.BaseProtocol``."""
        self.write_paused = True
        self._expect_reading()

    def resume_writing(self) -> None:
        """See ``asyncio.BaseProtocol``."""
        self.write_paused = False
        if self._client is not None:
            self._client.wake()

    def shutdown(self) -> None:
        """The server stops: close now, or after the answer that is being given. Uvicorn calls it."""
        self.closing = True
        if self._client is None:
            self._close()

    def drain(self, seconds: float) -> None:
        """The server is about to stop: close once nothing has come for ``seconds``. What comes is still answered.

        An answer whose head was not sent yet says that it is this connection's last.
        """
        self._idle_seconds = seconds
        if self._client is not None:
            self.closing = self.closing or not self._client.responded
        elif not self._missing:
            self._expect(seconds)

    def _begin(self, data: bytes) -> None:
        """A request begins with ``data``."""
        head = self._heads.read(data)
        if head is None:
            self._hand_over(data)
            return
        end = head.size + head.content_length
        body = data[head.size : end]
        self._missing = end - len(data)
        if self._missing > 0:
            self._pieces.append(body)
            self._body_begun, self._body_taken = self.loop.time(), len(body)
            self._expect_body()
        elif self._missing < 0:
            self._ahead = data[end:]
            self._missing = 0
        self.closing = not head.keep_alive
        self._client = HotClient(self, head.content_length, None if self._missing else body)
        self._request = head.request
        if self.task is None:
            self.task = self.loop.create_task(self._serve())
            self.task.add_done_callback(self._ended)
        self._state.tasks.add(self.task)
        self._go_on()

    def _body(self, data: bytes) -> bytes:
        """Take what belongs to the body that is still to come; the rest of ``data``."""
        piece, rest = data[: self._missing], data[self._missing :]
        self._missing -= len(piece)
        self._body_taken += len(piece)
        if self._client is not None:
            self._pieces.append(piece)
        if self._missing:
            self._expect_body()
        elif self._client is not None:
            self._client.give(b"".join(self._pieces))
            self._pieces.clear()
        elif self.closing:  # the answer came before the body's end
            self._close()
            return b""
        else:
            self._expect(self._idle_seconds)
        return rest

    async def _serve(self) -> None:
        """Serve one request after the other, as long as the connection is this protocol's.

        One task does it for all of them: to make one costs more than to read a head.
        """
        while True:
            client, request = self._client, self._request
            if client is not None and request is not None:
                try:
                    await self._pipeline.serve(request, client)
                except Exception as error:  # noqa: BLE001 - the client knows; the operator must, too
                    self.loop.call_exception_handler({"message": "A request failed.", "exception": error})
                client = request = None  # an idle connection keeps nothing of its last request
                self._done()
            elif self._left:
                return
            else:
                self._next_came = self.loop.create_future()
                await self._next_came

    def _go_on(self) -> None:
        """Wake the task if it waits for a request: there is one, or there will be none."""
        if self._next_came is not None and not self._next_came.done():
            self._next_came.set_result(None)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """The task is over: nothing more comes, or it was cancelled in the middle of a request."""
        self._state.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.loop.call_exception_handler({"message": "A connection failed.", "exception": error, "task": task})
        if self._client is not None and not self._left:
            self._close()

    def _done(self) -> None:
        """The request is over: the next one, or the end of the connection."""
        if self.task is not None:
            self._state.tasks.discard(self.task)
        self._state.total_requests += 1
        client, self._client, self._request = self._client, None, None
        self._pieces.clear()
        if self._left or client is None:
            return
        if not client.complete:
            self._close()
        elif self._missing:
            # The rest of the body is read and dropped: to close before would reset the connection, and the client
            # might never see its answer.
            self._expect_body(least=LINGER_SECONDS)
        elif self.closing:
            self._close()
        else:
            self._next()

    def _next(self) -> None:
        """Go on with what the client sent ahead, or wait for more."""
        if self._read_paused:
            self._read_paused = False
            self.transport.resume_reading()
        if self._ahead:
            data, self._ahead = self._ahead, b""
            self._begin(data)
        else:
            self._expect(self._idle_seconds)

    def _hand_over(self, data: bytes) -> None:
        """From ``data`` on the connection is uvicorn's. It is at a request's beginning, and nothing is paused."""
        self._disarm()
        self._leave()
        self._connections.discard(self)
        protocol = GuardedProtocol(
            self._door, config=self._config, server_state=self._state, app_state=self._app_state, loop=self.loop
        )
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        if self.write_paused:
            protocol.pause_writing()
        protocol.data_received(data)

    def _close(self) -> None:
        """Close, once the client has read what was sent."""
        self._expect_reading()
        self.transport.close()

    def _leave(self) -> None:
        """The client is gone."""
        self._left = True
        if self._client is not None:
            self._client.leave()
        self._go_on()

    @property
    def _connections(self) -> set[Any]:
        """The server's connections; uvicorn's type for them knows its own protocols only."""
        return self._state.connections

    def _expect(self, seconds: float) -> None:
        """Something must come from the client within ``seconds``. The timer that runs is kept where it is early."""
        self._deadline = self.loop.time() + seconds
        if self._timer is None or self._timer_at > self._deadline:
            self._disarm()
            self._timer_at = self._deadline
            self._timer = self.loop.call_at(self._deadline, self._overdue)

    def _expect_body(self, least: float = 0.0) -> None:
        """More of the body must come in time; or nothing more, where there is an answer already: ``least`` seconds."""
        now = self.loop.time()
        self._expect(max(body_due(self._body_begun, self._body_taken, now) - now, least))

    def _expect_reading(self) -> None:
        """Some of what was sent must be taken within ``STALL_SECONDS``."""
        self._unsent = self.transport.get_write_buffer_size()
        self._expect(STALL_SECONDS)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _overdue(self) -> None:
        self._timer = None
        if self._client is not None and not self._missing and not self.write_paused:
            return  # the client waits for us
        seconds = self._deadline - self.loop.time()
        unsent = self.transport.get_write_buffer_size()
        if seconds > 0:
            self._expect(seconds)
        elif self._missing and self._client is not None and not self._client.responded:
            self._client.give_up(body_too_slow())  # whose answer ends the connection
        elif not unsent:
            self.transport.close()
        elif unsent < self._unsent:
            self._unsent = unsent
            self._expect(STALL_SECONDS)
        else:
            self.transport.abort()  # what it does not read cannot be sent before closing
