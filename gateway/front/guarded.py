"""Uvicorn's protocol with what it lacks: bounds on size and time, and refusals in OpenAI's form.

It serves every connection on which something else than a plain metered request came. Uvicorn bounds the time between
two requests; a head, a body, trailers and what is sent ahead may be of any size there and take any time.
"""

import asyncio
from collections import deque
from typing import Any, Final, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from gateway.errors import GatewayError, HeadTooLarge, InvalidRequest, RequestTooSlow
from gateway.front.door import Door
from gateway.front.head import HEAD_BYTES_MAX
from gateway.front.rules import refuse_unclear
from gateway.front.watch import Watch
from gateway.wire.pace import HEAD_SECONDS

PIECE_BYTES: Final = 8 * 1024
"""How much is parsed at once: what one piece begins may be that much over a bound, or that many requests ahead."""
AHEAD_BYTES_MAX: Final = 64 * 1024
"""Of requests sent before the current one was answered; then nothing more is read."""
FRAMING_BYTES_MAX: Final = 64 * 1024
"""Of what stands around a body in chunks: their extensions and trailers, and sizes beyond ``FRAMING_PER_BYTE``."""
FRAMING_PER_BYTE: Final = 16
"""A body may come in chunks of one byte each: that many bytes of framing for each of its own are free."""


class GuardedProtocol(HttpToolsProtocol):
    """One connection, from the first request that is uvicorn's on."""

    def __init__(
        self,
        door: Door,
        *,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(config=config, server_state=server_state, app_state=app_state, _loop=loop)
        self._door = door
        self._watch = Watch(loop, self._late)
        self._open: deque[RequestResponseCycle] = deque()
        self._ahead = b""
        self._in_body = self._turned = self._over = False
        self._last_word: GatewayError | None = None
        self._head_bytes = self._framing_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """See ``asyncio.BaseProtocol``."""
        super().connection_made(transport)
        self._watch.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.BaseProtocol``."""
        self._over = True
        self._watch.end()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """See ``asyncio.BaseProtocol``."""
        super().pause_writing()
        self._watch.sent()

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        self._unset_keepalive_if_required()
        if self._over or self.transport.is_closing():
            return
        self._ahead += data
        self._parse()

    def _parse(self) -> None:
        """Parse what came, as long as no request waits for another one's answer."""
        data, self._ahead = self._ahead, b""
        at = 0
        try:
            while at < len(data) and not self.pipeline and not self._over:
                piece = data[at : at + PIECE_BYTES]
                at += len(piece)
                self._feed(piece)
        except GatewayError as error:
            self._refuse(error)
        if self._over:
            return
        self._ahead = data[at:]
        if len(self._ahead) > AHEAD_BYTES_MAX:
            self.flow.pause_reading()

    def _feed(self, piece: bytes) -> None:
        """Parse one piece. Raises ``GatewayError`` where the connection cannot go on."""
        if self._in_body:
            self._framing_bytes += len(piece)
        self._turned = False
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            raise cause if isinstance(cause, GatewayError) else InvalidRequest("The request is not valid.") from error
        except httptools.HttpParserError as error:
            raise InvalidRequest(f"The request is not HTTP/1.1: {error}.") from error
        except httptools.HttpParserUpgrade:
            # The request is served without it; what follows is in a protocol that nobody speaks here.
            self._over = True
            self.cycle.keep_alive = False
            return
        if self._in_body:
            if self._framing_bytes > FRAMING_BYTES_MAX:
                raise InvalidRequest("The body's chunks have more around them than in them.")
        elif not self._turned:
            self._watch.await_head()  # line breaks before it begins are a part of it
            self._head_bytes += len(piece)
            if self._head_bytes > HEAD_BYTES_MAX:
                raise HeadTooLarge(f"The request line and headers have more than {HEAD_BYTES_MAX} bytes.")

    def on_message_begin(self) -> None:
        """See ``httptools.HttpRequestParser``, as all of these."""
        super().on_message_begin()
        self._watch.await_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A trailer is no header: nobody may add one after the request has been authorised."""
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole: refuse it or begin to serve it."""
        parser = self.parser
        refuse_unclear(parser.get_http_version(), self.url, self.headers, upgrade=parser.should_upgrade())
        super().on_headers_complete()
        self._open.append(self.cycle)
        self._turned = self._in_body = True
        self._head_bytes = self._framing_bytes = 0
        self._watch.await_body()

    def on_body(self, body: bytes) -> None:
        """Some of the body."""
        self._watch.take(len(body))
        self._framing_bytes = max(0, self._framing_bytes - (FRAMING_PER_BYTE + 1) * len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._turned, self._in_body = True, False
        self._watch.rest()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer was given: go on with what was sent ahead, or end."""
        self._open.popleft()
        super().on_response_complete()
        self._watch.sent()
        if self._last_word is not None and not self._open:
            self._show_out(self._last_word)
        elif self._ahead and not self._over and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._parse()

    def _refuse(self, error: GatewayError) -> None:
        """Nothing more is read; a request whose body this ends is not served. Answers to earlier ones come first."""
        self._over = True
        answered = False
        if self._in_body:
            answered = not self._open or self._open[-1].response_started
            self._abandon()
        if answered:  # a second answer would be taken for the next request's
            self.transport.close()
        elif self._open:
            self._last_word = error
        else:
            self._show_out(error)

    def _abandon(self) -> None:
        """Whoever waits for the latest request's body learns that it will not come."""
        if self._open:
            cycle = self._open.pop()
            if self.pipeline:
                self.pipeline.popleft()
            cycle.disconnected = True
            cycle.message_event.set()

    def _show_out(self, error: GatewayError) -> None:
        if self.transport.is_closing():
            return
        self._watch.end()
        self._unset_keepalive_if_required()
        self.connections.discard(self)
        self.parser = cast("Any", None)  # it holds this object, as at the connection's end
        self.flow.resume_writing()
        self.flow.resume_reading()
        self._door.show_out(self.transport, self.loop, error)

    def _late(self) -> None:
        """What the client has to send did not come in time."""
        if self.pipeline or self._ahead or self.flow.read_paused:
            self._watch.again()  # it is the gateway that does not read
        elif self._in_body:
            self._refuse(RequestTooSlow("The request's body did not come fast enough."))
        else:
            self._refuse(RequestTooSlow(f"The request's head took more than {HEAD_SECONDS:g} seconds."))
