"""The head of a request to an endpoint, as bytes."""

from typing import Final

from gateway.errors import UpstreamFailed
from gateway.upstream.transport import UpstreamRequest
from gateway.upstream.url import Address

STARTS_KEPT_MAX: Final = 64
"""Request lines that are remembered: there are as many as operations."""


class HeadWriter:
    """Writes request heads for one endpoint.

    ``Host`` and ``Content-Length`` are its own; hop-by-hop headers, and those that a ``Connection`` header
    names, are left out. With ``keep_alive=False`` every request asks the endpoint to close the connection
    after its answer.
    """

    __slots__ = ("_address", "_after_target", "_starts")

    def __init__(self, address: Address, *, keep_alive: bool) -> None:
        self._address = address
        closing = b"" if keep_alive else b"connection: close\r\n"
        self._after_target = b" HTTP/1.1\r\nhost: " + address.authority + b"\r\n" + closing
        self._starts: dict[tuple[bytes, bytes], bytes] = {}

    def write(self, request: UpstreamRequest) -> bytes:
        """The head of a request, up to and with its empty line.

        Raises:
            UpstreamFailed: A header, the method or the path would be read as something else than it is, as
                with a line break or a NUL byte. The message never holds a value.
        """
        parts = [self._starts.get((request.method, request.path)) or self._start(request.method, request.path)]
        try:
            parts += [lines.text() for lines in request.headers]
        except ValueError as error:
            raise self._refusal(str(error)) from error
        parts.append(b"content-length: %d\r\n\r\n" % len(request.body))
        return b"".join(parts)

    def _start(self, method: bytes, path: bytes) -> bytes:
        """The request line and the headers that are the same for every request."""
        if any(byte in text for text in (method, path) for byte in (b" ", b"\r", b"\n", b"\0")):
            raise self._refusal("a space, line break or NUL in its method or path")
        start = method + b" " + self._address.target(path) + self._after_target
        if len(self._starts) < STARTS_KEPT_MAX:
            self._starts[method, path] = start
        return start

    def _refusal(self, what: str) -> UpstreamFailed:
        return UpstreamFailed(f"The request to {self._address.name} was not sent: it has {what}. Remove it.")
