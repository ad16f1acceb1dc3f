"""A stream of LiteLLM's SDK, as the bytes of one of an OpenAI-compatible server."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

from gateway.errors import UpstreamFailed, UpstreamTimeout
from gateway.upstream.litellm_answer import event_bytes
from gateway.upstream.litellm_errors import shown
from gateway.upstream.litellm_package import Pieces
from gateway.upstream.transport import Headers

DONE: Final = b"data: [DONE]\n\n"
_LAST_WORDS_SECONDS: Final = 1.0
"""How long a connection may take to close."""


class LiteLlmStream:
    """Fulfils ``UpstreamResponse``."""

    status: int = 200
    headers: Headers = ((b"content-type", b"text/event-stream; charset=utf-8"),)

    def __init__(self, pieces: Pieces, *, endpoint: str, api_key: str | None, idle: float) -> None:
        """``idle`` is how long the next piece may take, in seconds; ``endpoint`` its name."""
        self._stream = pieces
        self._pieces = aiter(pieces)
        self._endpoint = endpoint
        self._api_key = api_key
        self._idle = idle
        self._closed = False
        self._error: UpstreamFailed | None = None
        self.complete = False

    async def chunk(self) -> bytes:
        """See ``UpstreamResponse``. One event, or the end's."""
        if self._error is not None:
            raise self._error
        if self.complete:
            return b""
        try:
            async with asyncio.timeout(self._idle):
                told = await anext(self._pieces, None)
        except TimeoutError as error:
            raise self._failed(
                UpstreamTimeout(f"The provider of {self._endpoint} sent nothing for {self._idle:g} s (timeout idle).")
            ) from error
        except Exception as error:  # whatever goes wrong in the SDK, the stream has broken
            raise self._failed(
                UpstreamFailed(f"The answer of {self._endpoint} broke off: {shown(error, self._api_key)}")
            ) from error
        if told is not None:
            return event_bytes(told.model_dump(mode="json"))
        if not _finished(self._stream):
            raise self._failed(UpstreamFailed(f"The answer of {self._endpoint} ended before it was complete."))
        self.complete = True
        return DONE

    async def pump(self, take: Callable[[bytes], bool]) -> None:
        """See ``UpstreamResponse``."""
        while (piece := await self.chunk()) and take(piece):
            pass

    async def read(self, limit: int) -> bytes:
        """See ``UpstreamResponse``."""
        body = b""
        while piece := await self.chunk():
            body += piece
            if len(body) > limit:
                raise UpstreamFailed(f"{self._endpoint} sent an answer of more than {limit} bytes.")
        return body

    def hurry(self, seconds: float) -> None:
        """See ``UpstreamResponse``."""
        self._idle = min(self._idle, seconds)

    async def aclose(self) -> None:
        """See ``UpstreamResponse``. The provider sees it at once."""
        if self._closed:
            return
        self._closed = True
        close = getattr(_inner(self._stream), "aclose", None)
        if close is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_LAST_WORDS_SECONDS):
                    await close()

    def _failed(self, error: UpstreamFailed) -> UpstreamFailed:
        self._error = error
        return error


def _inner(stream: Any) -> Any:  # noqa: ANN401 - the SDK's own, untyped
    """The stream of chat pieces that one of completions wraps."""
    return stream if hasattr(stream, "received_finish_reason") else getattr(stream, "completion_stream", stream)


def _finished(stream: Pieces) -> bool:
    """Whether the provider said that its answer is complete: where it did not, the SDK makes up that it did."""
    reason = getattr(_inner(stream), "received_finish_reason", "unknown")
    return reason is not None
