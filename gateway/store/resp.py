"""The store's protocol: commands packed, replies read, errors as redis-py names them, and what a caller is told."""

from collections.abc import Sequence
from typing import Any, Final

import hiredis
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    InvalidResponse,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.errors import StoreUnavailable


class NotServingError(RedisConnectionError):
    """The server has not the store's keys, or only a copy of them: another one serves them, or will soon."""


_ERRORS: dict[str, type[RedisError]] = {
    "CLUSTERDOWN": NotServingError,
    "LOADING": BusyLoadingError,
    "MASTERDOWN": NotServingError,
    "MOVED": NotServingError,
    "NOAUTH": AuthenticationError,
    "NOPERM": NoPermissionError,
    "NOSCRIPT": NoScriptError,
    "OOM": OutOfMemoryError,
    "READONLY": NotServingError,
    "WRONGPASS": AuthenticationError,
}
"""The first word of an error reply → its class; every other word is a ``ResponseError``."""


_LENGTHS_KEPT: Final = 1024
_LENGTHS: Final = [b"$%d\r\n" % length for length in range(_LENGTHS_KEPT)]


def words(*parts: bytes | str | int) -> bytes:
    """Words of a command in bytes, one after the other; a command is their number (see ``command``) and they."""
    packed: list[bytes] = []
    for part in parts:
        word = part if isinstance(part, bytes) else str(part).encode()
        size = len(word)
        packed.append(_LENGTHS[size] if size < _LENGTHS_KEPT else b"$%d\r\n" % size)
        packed.append(word)
        packed.append(b"\r\n")
    return b"".join(packed)


def word(text: str) -> bytes:
    """As ``words`` of one text."""
    encoded = text.encode()
    size = len(encoded)
    return (_LENGTHS[size] if size < _LENGTHS_KEPT else b"$%d\r\n" % size) + encoded + b"\r\n"


def numbers(values: Sequence[int]) -> bytes:
    """As ``words`` of whole numbers."""
    return b"".join([_NUMBERS[value] if 0 <= value < _NUMBERS_KEPT else _number(value) for value in values])


def _number(value: int) -> bytes:
    digits = b"%d\r\n" % value
    return _LENGTHS[len(digits) - 2] + digits


def command(*parts: bytes | str | int) -> bytes:
    """One whole command in bytes."""
    return b"*%d\r\n%b" % (len(parts), words(*parts))


class Nothing:
    """The type of ``NOTHING``."""


NOTHING: Final = Nothing()
"""What a reader gives while the next reply is not complete; null is a reply of its own."""


def reader() -> hiredis.Reader:
    """A parser of RESP2: feed it bytes, get replies (bytes, int, list, ``None``), errors as exception values.

    Its ``gets`` raises ``InvalidResponse`` for what is no reply.
    """
    return hiredis.Reader(protocolError=InvalidResponse, replyError=error_of, notEnoughData=NOTHING)


def error_of(text: str) -> RedisError:
    """The exception that stands for an error reply."""
    # Before Redis 7 a script's error is told within one of its own.
    word = "READONLY" if "-READONLY " in text else text.partition(" ")[0]
    return _ERRORS.get(word, ResponseError)(text)


def unavailable(error: Exception, *, keeps: str) -> StoreUnavailable:
    """What to tell the caller; messages of the store and of connections name hosts, never passwords.

    Args:
        error: A ``RedisError`` or ``OSError``.
        keeps: What the caller needed the store for.
    """
    answered = isinstance(error, ResponseError)
    what = "refused a command" if answered else "cannot be reached or does not answer"
    told = StoreUnavailable(
        f"The store that keeps {keeps} {what} ({type(error).__name__}: {error}).",
        retry_after_seconds=5.0 if answered else 1.0,
    )
    # Not by "raise … from" alone: compiled, that keeps the cause only inside an except block.
    told.__cause__ = error
    return told


Reply = Any
"""Bytes, an integer, ``None``, or a list of these: what a command makes it."""


_NUMBERS_KEPT: Final = 1024
_NUMBERS: Final = [_number(value) for value in range(_NUMBERS_KEPT)]
"""Most amounts of a request are small."""
