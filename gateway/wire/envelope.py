"""Errors as the OpenAI API writes them: in a JSON body, or as an event inside a stream."""

import math

import msgspec

from gateway.errors import GatewayError


def error_body(error: GatewayError) -> bytes:
    """``{"error": {"message", "type", "param", "code"}}``."""
    return msgspec.json.encode({"error": _told(error)})


def error_event(error: GatewayError) -> bytes:
    """The same as one event of a stream. No ``[DONE]`` follows it: a broken stream never looks complete.

    It is one for the clients of every dialect: OpenAI's look for ``error`` in the data, those of typed events for
    its name and ``type``, and would pass over an event that has none.
    """
    return b"event: error\ndata: " + msgspec.json.encode({"error": _told(error), "type": "error"}) + b"\n\n"


def refusal_event(body: bytes) -> bytes:
    """What an endpoint said to a request that the caller must change, as the one event of its stream."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        told = None
    if not isinstance(told, dict):
        told = {"error": {"message": body.decode("utf-8", "replace"), "type": "invalid_request_error"}}
    told.setdefault("type", "error")
    return b"event: error\ndata: " + msgspec.json.encode(told) + b"\n\n"


def _told(error: GatewayError) -> dict[str, str | None]:
    return {"message": error.message, "type": error.type, "param": error.param, "code": error.code}


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
    headers += error.headers
    return headers
