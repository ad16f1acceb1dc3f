"""The head of an endpoint's answers, as it was read last: on one connection it hardly ever changes.

Only the length differs from answer to answer, and the date from second to second. What the parser made of a head holds
for every head of the same bytes, so a whole answer that came in one piece behind a familiar head is not parsed again.
"""

import re
from collections.abc import Sequence
from typing import Final

from gateway.wire.digits import digits_at

_DIGITS_MAX: Final = 9
"""Of a length; a longer answer does not come in one piece."""
_MISSES_MAX: Final = 16
"""Heads in a row that were not the last one again, after which no more is learnt: this endpoint's heads all differ."""
_OK: Final = 200
_BEGINNING: Final = b"HTTP/1.1 200"
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)\r\n", re.IGNORECASE)


class FamiliarHead:
    """Remembers the latest head of a connection that began a whole answer with a length and status 200."""

    __slots__ = ("_after", "_before", "_headers", "_misses", "_place")

    def __init__(self) -> None:
        self._before = self._after = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._place = 0
        self._misses = 0

    def read(self, data: bytes) -> tuple[list[tuple[bytes, bytes]], bytes] | None:
        """Headers and body, where ``data`` is exactly one whole answer behind the familiar head; else ``None``."""
        if not self._before or not data.startswith(self._before):
            return None
        start, after = len(self._before), self._after
        length, stop = digits_at(data, start, _DIGITS_MAX)
        begin = stop + len(after)
        if stop == start or len(data) - begin != length or data[stop:begin] != after:
            return None
        self._misses = 0
        headers = self._headers.copy()
        headers[self._place] = (headers[self._place][0], data[start:stop])
        return headers, data[begin:]

    def learn(self, data: bytes, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Remember the head of ``data``, a whole answer that was read as ``status`` and ``headers``, if it is such."""
        self._misses += 1
        self._before = b""
        names = [name for name, _ in headers]
        if (
            self._misses > _MISSES_MAX
            or status != _OK
            or not data.startswith(_BEGINNING)  # and not with an informational head
            or names.count(b"content-length") != 1
            or b"transfer-encoding" in names
        ):
            return
        head = data[: data.find(b"\r\n\r\n") + 4]
        length = _LENGTH.search(head)
        if length is not None and len(data) - len(head) == int(length[1]):
            self._before, self._after = head[: length.start(1)], head[length.end(1) :]
            self._headers = list(headers)
            self._place = names.index(b"content-length")
