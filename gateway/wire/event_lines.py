"""Server-sent events as lines (WHATWG HTML, 9.2.6): where one ends, and what its ``data`` is."""

import re
from typing import Final

BLANK_LINE: Final = re.compile(rb"((?:\r\n|\n)(?:\r\n|\n)|\r\r)")
"""What ends an event; a group, so that ``split`` keeps it."""
DONE: Final = b"[DONE]"
"""The ``data`` with which streams of chat and text completions end."""
BOM: Final = b"\xef\xbb\xbf"
"""What may stand before a stream's first event, and means nothing."""
_LINE: Final = re.compile(rb"\r\n|\n|\r")


class LongEvent:
    """A long event that is still coming: a look at each byte, and not at all of them with each piece."""

    __slots__ = ("_ending", "_pieces", "size")

    def __init__(self, beginning: bytes) -> None:
        self._pieces = [beginning]
        self._ending = beginning[-3:]
        self.size = len(beginning)

    def add(self, piece: bytes) -> bool:
        """Take ``piece``; whether the event's end has come with it."""
        seam = self._ending + piece
        self._ending = seam[-3:]
        self._pieces.append(piece)
        self.size += len(piece)
        return BLANK_LINE.search(seam) is not None

    def whole(self) -> bytes:
        """All that came."""
        return b"".join(self._pieces)


def data_of(event: bytes) -> bytes:
    """The ``data`` of an event, of one line or several; empty for a comment."""
    if event.startswith(b"data: ") and event.find(b"\n") < 0 and event.find(b"\r") < 0:
        return event[6:]
    lines = _LINE.split(event.removeprefix(BOM))
    return b"\n".join([line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")])


def is_text(data: bytes) -> bool:
    """Whether ``data`` is UTF-8."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
