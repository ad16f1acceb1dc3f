"""The head of a request in its plain shape: what clients of metered operations send, and nothing else.

Whatever is not plain is not refused here but left to uvicorn's parser, which knows the whole of HTTP/1.1. So this one
may be strict to the byte: it accepts only what every reader of HTTP reads in the same way.
"""

import re
from typing import Final

from gateway.front.rules import HOST
from gateway.wire.digits import digits_at
from gateway.wire.operations import OPERATIONS
from gateway.wire.request_head import RequestHead

HEAD_BYTES_MAX: Final = 64 * 1024
"""Of a whole head with its empty line."""
BODY_BYTES_MAX: Final = 1024 * 1024
"""Of a body that is kept whole; uvicorn takes a larger one piece by piece."""

_REQUEST_LINES = {b"POST %b HTTP/1.1" % path.encode(): operation for path, operation in OPERATIONS.items()}
_TEXT: Final = bytes(byte for byte in range(256) if byte == ord("\t") or (byte >= ord(" ") and byte != 0x7F))  # noqa: PLR2004 - DEL
"""What may stand between line breaks."""
_NAME_BYTES: Final = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
"""RFC 9110's token, after it was made lower case."""
_NOT_PLAIN: Final = frozenset({b"expect", b"http2-settings", b"trailer", b"transfer-encoding", b"upgrade"})
_KEEPS_ALIVE: Final = {b"keep-alive": True, b"close": False}
UNLIKE_MAX: Final = 4
"""After so many heads in a row that were unlike the one before, only one of ``UNLIKE_BETWEEN`` is kept."""
UNLIKE_BETWEEN: Final = 32
_LENGTH_DIGITS_MAX: Final = len(str(BODY_BYTES_MAX))
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)", re.IGNORECASE)


class Head:
    """A head that was read.

    Attributes:
        request: What the steps read of it: lower-case names, each once, and values without white space around them.
        content_length, size: Of the body and of the head itself with its empty line, in bytes.
        keep_alive: What the client asked for.
    """

    __slots__ = ("content_length", "keep_alive", "request", "size")

    def __init__(self, request: RequestHead, content_length: int, size: int, *, keep_alive: bool) -> None:
        self.request = request
        self.content_length = content_length
        self.size = size
        self.keep_alive = keep_alive


class HeadReader:
    """Reads the heads of one connection, one after the other.

    A head that is the last one again, but for the body's length, is not taken apart again: that is what clients send.
    Those that give each request a trace of its own send another each time; to keep theirs would only cost memory.
    """

    __slots__ = ("_after", "_before", "_last", "_unlike")

    def __init__(self) -> None:
        self._last: Head | None = None
        self._unlike = 0
        self._before = self._after = b""

    def read(self, data: bytes) -> Head | None:
        """See ``parse_head``."""
        last = self._last
        if last is not None and data.startswith(self._before):
            start, after = len(self._before), self._after
            length, stop = digits_at(data, start, _LENGTH_DIGITS_MAX)
            begin = stop + len(after)
            if stop > start and length <= BODY_BYTES_MAX and data[stop:begin] == after:
                self._unlike = 0
                return Head(last.request, length, begin, keep_alive=last.keep_alive)
        head = parse_head(data)
        if head is not None:
            self._unlike += 1
            if self._unlike <= UNLIKE_MAX or self._unlike % UNLIKE_BETWEEN == 0:
                self._remember(head, data[: head.size])
            else:
                self._last = None
        return head

    def _remember(self, head: Head, text: bytes) -> None:
        length = _LENGTH.search(text)
        if length is not None:
            self._last, self._before, self._after = head, text[: length.start(1)], text[length.end(1) :]


def parse_head(data: bytes) -> Head | None:
    """The head that ``data`` begins with; ``None`` where it is incomplete or not in the plain shape."""
    end = data.find(b"\r\n\r\n", 0, HEAD_BYTES_MAX)
    lines = data[:end].split(b"\r\n") if end > 0 else [b""]
    operation = _REQUEST_LINES.get(lines[0])
    # The line breaks that were split at are all the control characters there may be.
    if operation is None or data[:end].translate(None, _TEXT) != b"\r\n" * (len(lines) - 1):
        return None
    headers = []
    names = []
    del lines[0]
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name:
            return None
        name = name.lower()
        names.append(name)
        headers.append((name, value.strip(b" \t")))
    if b"".join(names).translate(None, _NAME_BYTES):
        return None
    named = dict(headers)
    if (
        len(named) != len(headers)
        or not _NOT_PLAIN.isdisjoint(named)
        or HOST.fullmatch(named.get(b"host", b"")) is None
    ):
        return None
    length = named.get(b"content-length", b"")
    keep_alive = _KEEPS_ALIVE.get(named.get(b"connection", b"keep-alive").lower())
    if keep_alive is None or not length.isdigit() or len(length) > _LENGTH_DIGITS_MAX or int(length) > BODY_BYTES_MAX:
        return None
    return Head(RequestHead(operation, headers, named), int(length), end + 4, keep_alive=keep_alive)
