"""The head of a request to an endpoint, as bytes."""

from gateway.errors import UpstreamFailed
from gateway.upstream.transport import UpstreamRequest
from gateway.upstream.url import Address

_NOT_SENT = frozenset(
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
_NAME_BYTES = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
"""RFC 9110's token without upper case: names come in lower case."""


class HeadWriter:
    """Writes request heads for one endpoint.

    ``Host`` and ``Content-Length`` are its own; hop-by-hop headers, and those that a ``Connection`` header
    names, are left out. With ``keep_alive=False`` every request asks the endpoint to close the connection
    after its answer.
    """

    __slots__ = ("_address", "_after_target")

    def __init__(self, address: Address, *, keep_alive: bool) -> None:
        self._address = address
        closing = b"" if keep_alive else b"connection: close\r\n"
        self._after_target = b" HTTP/1.1\r\nhost: " + address.authority + b"\r\n" + closing

    def write(self, request: UpstreamRequest) -> bytes:
        """The head of a request, up to and with its empty line.

        Raises:
            UpstreamFailed: A header, the method or the path would be read as something else than it is, as
                with a line break or a NUL byte. The message never holds a value.
        """
        parts = [request.method, b" ", self._address.target(request.path), self._after_target]
        lines = self._after_target.count(b"\n") + 2
        not_sent = _NOT_SENT
        names = []
        for name, value in request.headers:
            if name == b"connection":
                not_sent = not_sent.union(option.strip().lower() for option in value.split(b","))
        for name, value in request.headers:
            if name not in not_sent:
                names.append(name)
                parts += (name, b": ", value, b"\r\n")
        parts.append(b"content-length: %d\r\n\r\n" % len(request.body))
        head = b"".join(parts)
        # Every line break must be one of ours: three scans of the whole are cheaper than one per header.
        lines += len(names)
        if head.count(b"\n") != lines or head.count(b"\r") != lines or b"\0" in head:
            raise self._refusal(request)
        if not all(names) or b"".join(names).translate(None, _NAME_BYTES):
            raise self._refusal(request)
        if b" " in request.path or b" " in request.method:
            raise self._refusal(request)
        return head

    def _refusal(self, request: UpstreamRequest) -> UpstreamFailed:
        """What to say of a request that cannot be written; names the header at fault where it is one."""
        for name, value in request.headers:
            if not name or name.translate(None, _NAME_BYTES):
                what = "a header name that is not a lower-case token"
                break
            if any(byte in value for byte in (b"\r", b"\n", b"\0")):
                what = f"a line break or NUL in the value of header {name.decode('ascii')}"
                break
        else:
            what = "a space, line break or NUL in its method or path"
        return UpstreamFailed(f"The request to {self._address.name} was not sent: it has {what}. Remove it.")
