"""What LiteLLM's SDK raises → what the gateway knows: an answer of the provider's, or one of its own errors."""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from gateway.errors import (
    UpstreamAnswered,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.upstream.whole_answer import WholeAnswer
from gateway.wire.headers import Header
from gateway.wire.retry_after import retry_after

_CALLERS: Final = frozenset({400, 404, 409, 413, 422})
"""Statuses of what the caller has to change; they pass."""
_GATEWAYS: Final = frozenset({401, 402, 403})
"""Of what the operator has to: the key, or an account without money."""
_LIMITED: Final = 429
_SERVER: Final = 500
_NOT_CONNECTED: Final = frozenset({"ConnectError", "ConnectTimeout", "ClientConnectorError", "ConnectionTimeoutError"})
"""What HTTP clients call it when nothing was sent."""
_SILENT: Final = frozenset({"APITimeoutError", "ReadTimeout", "Timeout", "TimeoutError", "WriteTimeout"})
_NAMES: Final = re.compile(r"^(?:(?:litellm\.)?[A-Z]\w*(?:Error|Exception|Timeout): )*(?:\w+Exception - )?")
_SHOWN_CHARACTERS_MAX: Final = 1000


def translated(error: Exception, *, endpoint: str, api_key: str | None, unix: float) -> WholeAnswer | UpstreamFailed:
    """``endpoint`` is its name; ``unix`` the time now, in seconds. No text holds ``api_key``."""
    chain = [type(each).__name__ for each in _chain(error)]
    if _NOT_CONNECTED.intersection(chain):
        return UpstreamUnreachable(f"No connection to the provider of {endpoint} could be made. Check its url.")
    if _SILENT.intersection(chain):
        return UpstreamTimeout(f"The provider of {endpoint} sent no answer in time.")
    message = shown(error, api_key)
    status = _status(error, chain)
    if status in _GATEWAYS:
        return UpstreamRefused(
            f"The provider of {endpoint} refused the gateway's key ({status}). Check its api_key in the tier map."
        )
    if status in _CALLERS:
        return _refusal(status, message, error, chain)
    if status == _LIMITED or status >= _SERVER:
        return UpstreamAnswered(
            f"The provider of {endpoint} answered {status}: {message}",
            status=status,
            retry_after_seconds=retry_after(_headers(error), unix),
        )
    return UpstreamFailed(f"LiteLLM got no answer of the provider of {endpoint} ({chain[0]}): {message}")


def shown(error: Exception, api_key: str | None) -> str:
    """What an error says: the provider's words, without LiteLLM's names of classes before them, and without the key."""
    text = getattr(error, "message", None)
    text = _NAMES.sub("", text if isinstance(text, str) and text else str(error))
    if api_key:
        text = text.replace(api_key, "…")
    return " ".join(text.split())[:_SHOWN_CHARACTERS_MAX]


def _chain(error: BaseException) -> Iterator[BaseException]:
    at: BaseException | None = error
    while at is not None:
        yield at
        at = at.__cause__ or at.__context__


def _status(error: Exception, chain: list[str]) -> int:
    """What the provider answered; 0 where it did not: the SDK then says 500 itself."""
    status = getattr(error, "status_code", 0)
    if not isinstance(status, int) or {"APIConnectionError", "MidStreamFallbackError"}.intersection(chain):
        return 0
    return status


def _refusal(status: int, message: str, error: Exception, chain: list[str]) -> WholeAnswer:
    param, code = getattr(error, "param", None), getattr(error, "code", None)
    told = {
        "message": message,
        "type": "invalid_request_error",
        "param": param if isinstance(param, str) else None,
        "code": "context_length_exceeded" if chain[0] == "ContextWindowExceededError" else code,
    }
    body = msgspec.json.encode({"error": told}, enc_hook=str)
    return WholeAnswer(status=status, headers=((b"content-type", b"application/json"),), body=body)


def _headers(error: Exception) -> list[Header]:
    """The provider's, where they are known."""
    for where in (
        getattr(error, "litellm_response_headers", None),
        getattr(getattr(error, "response", None), "headers", None),
    ):
        if where:
            return [(str(name).lower().encode(), str(value).encode()) for name, value in where.items()]
    return []
