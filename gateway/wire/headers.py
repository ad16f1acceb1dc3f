"""Which headers pass: from the caller to the endpoint, back again, and who the caller says it is."""

from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from gateway.errors import InvalidRequest

Header = tuple[bytes, bytes]

_TO_UPSTREAM = frozenset({
    b"accept", b"anthropic-beta", b"anthropic-version", b"baggage", b"content-type", b"traceparent", b"tracestate",
    b"user-agent",
})  # fmt: skip
"""An allow-list: keys, cookies and identity stay here."""

_NOT_TO_CLIENT = frozenset({
    b"connection", b"content-length", b"date", b"keep-alive", b"proxy-authenticate", b"server", b"set-cookie",
    b"te", b"trailer", b"transfer-encoding", b"upgrade", b"www-authenticate", b"x-request-id",
})  # fmt: skip
"""Of one hop only (RFC 9110 §7.6.1), or about the endpoint's host and its credentials."""

IDENTITY = {
    b"x-tiergate-agent": "agent",
    b"x-tiergate-flow": "flow",
    b"x-tiergate-run": "run",
    b"x-tiergate-step": "step",
    b"x-tiergate-task": "task",
}
IDENTITY_CHARACTERS_MAX = 256


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


def identity_value(name: bytes, raw: bytes) -> str:
    """One ``x-tiergate-*`` header's text, percent-decoded and stripped.

    Raises:
        InvalidRequest: It is longer than 256 characters or has characters that cannot be printed.
    """
    text = unquote_to_bytes(raw).decode("utf-8", "replace").strip()
    if len(text) > IDENTITY_CHARACTERS_MAX or not text.isprintable():
        raise InvalidRequest(
            f"The header {name.decode()} must be printable text of at most {IDENTITY_CHARACTERS_MAX} characters.",
            param=name.decode(),
        )
    return text
