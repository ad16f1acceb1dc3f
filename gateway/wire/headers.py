"""Which headers pass: from the caller to the endpoint, and back again."""

from collections.abc import Iterable
from typing import Final

Header = tuple[bytes, bytes]

_TO_UPSTREAM: Final = frozenset({
    b"accept", b"anthropic-beta", b"anthropic-version", b"baggage", b"content-type", b"traceparent", b"tracestate",
    b"user-agent", b"x-runpod-worker-id",
})  # fmt: skip
"""An allow-list: keys, cookies and identity stay here."""

_NOT_TO_CLIENT: Final = frozenset({
    b"connection", b"content-length", b"date", b"keep-alive", b"proxy-authenticate", b"server", b"set-cookie",
    b"te", b"trailer", b"transfer-encoding", b"upgrade", b"www-authenticate", b"x-request-id",
})  # fmt: skip
"""Of one hop only (RFC 9110 §7.6.1), or about the endpoint's host and its credentials."""


def to_upstream(headers: Iterable[Header]) -> list[Header]:
    """The caller's headers that an endpoint may see. Answers are asked for uncompressed, since they are read here."""
    kept = [header for header in headers if header[0] in _TO_UPSTREAM]
    kept.append((b"accept-encoding", b"identity"))
    return kept


def to_client(headers: Iterable[Header]) -> list[Header]:
    """The endpoint's headers that a caller may see."""
    return [
        header for header in headers if header[0] not in _NOT_TO_CLIENT and not header[0].startswith(b"x-tiergate-")
    ]
