"""What has arrived of one answer: HTTP/1.1 bytes in, head and body out, no I/O."""

from typing import Final

import httptools

from gateway.upstream.familiar import FamiliarHead

HEAD_BYTES_MAX: Final = 65_536
"""A head, with informational ones before it; also the framing between two pieces of a body; also trailers."""
HEADERS_MAX: Final = 256
"""Header lines of one head."""

_STATUS_MIN, _STATUS_FINAL, _STATUS_MAX = 100, 200, 599
_OK: Final = 200
_SWITCHING_PROTOCOLS: Final = 101


class _StopParsingError(Exception):
    """Stops the parser from inside a callback; never leaves ``Reception.feed``."""


class Reception:
    """One answer as far as it has come. Each has a parser of its own, so nothing of a body survives into the next.

    Informational answers (1xx) are skipped, trailers are dropped. The answer to ``HEAD`` ends with its head.

    Attributes:
        status: 0 until ``head_done``.
        headers: Names in lower case, in the order received.
        head_done: The final head is complete.
        complete: The body is complete.
        reusable: ``complete``, and the endpoint said nothing against another request on this connection.
        surplus: Bytes came that do not belong to this answer.
        problem: What is wrong, to be put after the endpoint's name; empty while it can still become complete.
        touched: At least one byte came.
        buffered: Body bytes that were not taken yet.
    """

    __slots__ = (
        "_bodyless",
        "_closed",
        "_familiar",
        "_parser",
        "_pieces",
        "_since_body",
        "buffered",
        "complete",
        "head_done",
        "headers",
        "problem",
        "reusable",
        "status",
        "surplus",
        "touched",
    )

    def __init__(self, *, bodyless: bool, familiar: FamiliarHead | None = None) -> None:
        """``familiar`` is of the connection: it spares the parser where an answer's head is the last one's again."""
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.head_done = self.complete = self.reusable = self.surplus = self.touched = False
        self.problem = ""
        self.buffered = 0
        self._bodyless = bodyless
        self._pieces: list[bytes] = []
        self._since_body = 0
        self._parser: httptools.HttpResponseParser | None = None
        self._familiar = None if bodyless else familiar
        self._closed = False

    def feed(self, data: bytes) -> None:
        """Take bytes that the endpoint sent. Any that come after its end are ``surplus``."""
        if self._closed:
            self.surplus = True
        elif self.touched:
            self._parse(data)
        elif not self._recognised(data):
            self.touched = True
            self._parser = httptools.HttpResponseParser(self)
            self._parse(data)
            if self._familiar is not None and self.complete and self.reusable and not self.surplus:
                self._familiar.learn(data, self.status, self.headers)

    def _recognised(self, data: bytes) -> bool:
        """Whether ``data`` is a whole answer behind a familiar head; then it is taken."""
        whole = self._familiar.read(data) if self._familiar is not None else None
        if whole is None:
            return False
        self.status = _OK
        self.headers, body = whole
        self.touched = self.head_done = self.complete = self.reusable = self._closed = True
        if body:
            self._pieces.append(body)
            self.buffered = len(body)
        return True

    def _parse(self, data: bytes) -> None:
        parser = self._parser
        if parser is None:
            return
        self._since_body += len(data)
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self.complete:
                self.surplus = True
            elif not self.problem:
                self.problem = f"sent something that is not HTTP/1.1 ({error})"
        else:
            if self._since_body > HEAD_BYTES_MAX and not self.complete:
                self.problem = self._too_much()
        if self.complete or self.problem:
            self.close()

    def end(self) -> None:
        """The endpoint closed its side: the end of an answer that gave no length, otherwise a problem."""
        if self.complete or self.problem:
            return
        if not self.touched:
            self.problem = "closed the connection without an answer"
        elif not self.head_done:
            self.problem = "closed the connection in the middle of the answer's head"
        elif any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers):
            self.problem = "closed the connection before the answer was complete"
        else:
            self.complete = True
        self.close()

    def take(self) -> bytes:
        """The body bytes that came since the last call; ``b""`` where there are none."""
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.buffered = 0
        return body

    def close(self) -> None:
        """Let go of the parser, which holds on to this object. What was received stays."""
        self._parser = None
        self._closed = True

    def on_message_begin(self) -> None:
        """Parser: the first byte of a head."""
        if self.complete:
            self._stop("")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Parser: a header line, or a trailer once the head is done."""
        if not self.head_done:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Parser: the end of a head."""
        status = self._parser.get_status_code() if self._parser is not None else 0
        if not _STATUS_MIN <= status <= _STATUS_MAX or status == _SWITCHING_PROTOCOLS:
            self._stop(f"answered with status {status}, which makes no sense here")
        if len(self.headers) > HEADERS_MAX or (
            self._since_body > HEAD_BYTES_MAX and self._head_bytes() > HEAD_BYTES_MAX
        ):
            self._stop(self._too_much())
        if status < _STATUS_FINAL:
            self.headers.clear()
            return
        for name, value in self.headers:
            if name == b"transfer-encoding" and value.strip().lower() != b"chunked":
                self._stop("sent its answer in a transfer encoding that was not asked for")
        self.status = status
        self.head_done = True
        if self._bodyless:
            self._finish()

    def on_body(self, body: bytes) -> None:
        """Parser: a piece of the body."""
        if self.complete:
            self._stop("")
        self._since_body = 0
        self._pieces.append(body)
        self.buffered += len(body)

    def on_message_complete(self) -> None:
        """Parser: the end of an answer, informational ones included."""
        if self.head_done:
            self._finish()

    def _finish(self) -> None:
        self.complete = True
        self.reusable = self._parser is not None and self._parser.should_keep_alive()

    def _stop(self, problem: str) -> None:
        self.problem = problem
        raise _StopParsingError

    def _head_bytes(self) -> int:
        return sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _too_much(self) -> str:
        if self.head_done:
            return f"sent more than {HEAD_BYTES_MAX} bytes of chunk framing or trailers"
        return f"sent an answer's head of more than {HEAD_BYTES_MAX} bytes or {HEADERS_MAX} lines"
