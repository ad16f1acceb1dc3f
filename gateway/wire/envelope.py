"""Errors as the OpenAI API writes them: in a JSON body, or as an event inside a stream."""

import math

import msgspec

from gateway.errors import GatewayError


def error_body(error: GatewayError) -> bytes:
    """``{"error": {"message", "type", "param", "code"}}``."""
    return msgspec.json.encode(
        {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}
    )


def error_event(error: GatewayError) -> bytes:
    """The same as one event of a stream. No ``[DONE]`` follows it: a broken stream never looks complete."""
    return b"data: " + error_body(error) + b"\n\n"


def error_headers(error: GatewayError) -> list[tuple[bytes, bytes]]:
    """What tells a client whether and when to try again.

    The OpenAI SDK obeys ``x-should-retry`` and a ``retry-after`` of up to 120 seconds.
    """
    headers = [(b"content-type", b"application/json")]
    if error.retry_after_seconds is not None:
        headers.append((b"retry-after", str(max(1, math.ceil(error.retry_after_seconds))).encode()))
    if not error.retry:
        headers.append((b"x-should-retry", b"false"))
    if error.status == 401:  # noqa: PLR2004 - RFC 9110 asks for the challenge with this status
        headers.append((b"www-authenticate", b"Bearer"))
    return headers
