"""The name of each request: one that no other process and no earlier start of this one gives out."""

from typing import Final

_BLOCK: Final = 4096
_LAST_DIGITS: Final = [f"{number:03x}" for number in range(_BLOCK)]


class RequestIds:
    """Calling it gives the next id: ``req_``, the process's own prefix, and a number of eight hexadecimal digits.

    ``prefix`` must be random. Most of an id is the same for thousands of them and is kept: a format costs as much as
    routing does.
    """

    __slots__ = ("_beginning", "_block", "_next", "_prefix")

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._block = -1
        self._next = 0
        self._beginning = ""

    def __call__(self) -> str:
        """The next id."""
        number = self._next
        self._next = number + 1
        block = number // _BLOCK
        if block != self._block:
            self._block = block
            self._beginning = f"req_{self._prefix}{block:05x}"
        return self._beginning + _LAST_DIGITS[number - block * _BLOCK]
