"""The beginning of an answer's head as bytes: all of it that answers of one endpoint mostly have in common."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from gateway.wire.headers import Header

KEPT_MAX: Final = 1024
"""Beginnings that are kept: one for each endpoint and outcome, unless endpoints send headers that all differ."""
KEPT_BYTES_MAX: Final = 2048
"""Of one that is kept."""

_STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in HTTPStatus}


class AnswerHeads:
    """Writes the beginnings of all connections' answers; one that comes again is not put together anew."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[tuple[int, tuple[Header, ...]], bytes] = {}

    def beginning(self, status: int, headers: Sequence[Header]) -> bytes:
        """The status line and ``headers``, each with its line break.

        A header that would be read as something else than it is, as with a line break or a NUL byte, is left out: an
        endpoint sent it.
        """
        same = (status, tuple(headers))
        found = self._kept.get(same)
        if found is None:
            found = _beginning(status, headers)
            if len(found) <= KEPT_BYTES_MAX:
                if len(self._kept) >= KEPT_MAX:
                    self._kept.clear()
                self._kept[same] = found
        return found


def _beginning(status: int, headers: Sequence[Header]) -> bytes:
    lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status]
    lines += [b": ".join(header) for header in headers if not _breaks(header)]
    lines.append(b"")
    return b"\r\n".join(lines)


def _breaks(header: Header) -> bool:
    return any(mark in part for part in header for mark in (b"\r", b"\n", b"\0"))
