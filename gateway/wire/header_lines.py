"""Headers that come again with many requests or answers, as lines of HTTP/1.1."""

from collections.abc import Sequence
from typing import Final

from gateway.wire.headers import Header

_NOT_SENT: Final = frozenset(
    {
        # Hop-by-hop (RFC 9110 §7.6.1): they speak of the client's connection, not of this one.
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        # Written here from the base URL and the body.
        b"content-length",
        b"host",
        # The body follows at once, so there is nothing to wait for.
        b"expect",
    }
)
_NAME_BYTES: Final = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
"""RFC 9110's token without upper case: names come in lower case."""


class HeaderLines:
    """Headers, and the same as lines of HTTP/1.1; one object may serve many requests or answers."""

    __slots__ = ("_text", "fields")

    def __init__(self, fields: Sequence[Header]) -> None:
        """``fields`` have lower-case names."""
        self.fields = fields
        self._text: bytes | None = None

    def text(self) -> bytes:
        """Each as ``name: value`` with its line break, but for those that are a connection's own.

        Raises:
            ValueError: One would be read as something else than it is, as with a line break or a NUL byte. The
                message never holds a value.
        """
        if self._text is None:
            self._text = _lines(self.fields)
        return self._text


NO_LINES: Final = HeaderLines(())


def _lines(fields: Sequence[Header]) -> bytes:
    not_sent = _NOT_SENT
    for name, value in fields:
        if name == b"connection":
            not_sent = not_sent.union(option.strip().lower() for option in value.split(b","))
    lines = []
    for name, value in fields:
        if name in not_sent:
            continue
        if not name or name.translate(None, _NAME_BYTES):
            raise ValueError("a header name that is not a lower-case token")
        if any(byte in value for byte in (b"\r", b"\n", b"\0")):
            raise ValueError(f"a line break or NUL in the value of header {name.decode('ascii')}")
        lines.append(b"%b: %b\r\n" % (name, value))
    return b"".join(lines)
