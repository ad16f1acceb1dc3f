"""The rest of an answer that broke off, made the same stream that the client is reading (see ``unfinished``).

The client sees one answer: the identity of its first part in every chunk, no second role, one finish reason, one usage,
one end. A comment stands where the parts meet, since the headers that say who serves are long gone.
"""

from typing import Any

import msgspec

from gateway.errors import UpstreamFailed
from gateway.wire.event_lines import BLANK_LINE, DONE, data_of
from gateway.wire.events import EventStream
from gateway.wire.unfinished import Unfinished, is_text


class Continued:
    """Follows the rest as ``events`` does, and makes of its chunks those of the one answer."""

    __slots__ = ("_events", "_owed", "_seam", "_unfinished")

    def __init__(self, unfinished: Unfinished, events: EventStream, endpoint: str) -> None:
        """``unfinished`` is one that can be continued: it was found ``possible``."""
        self._unfinished = unfinished
        self._events = events
        self._owed = unfinished.text[len(unfinished.prefix) :]
        """White space that the client has already, and that the model may write again."""
        self._seam = b": tiergate continued on %b\n\n" % endpoint.encode()

    def joined(self, piece: bytes) -> bytes:
        """``piece``, whole events of the rest, as the client is to see them; the first time with the seam before it.

        Raises:
            UpstreamFailed: They bring what cannot follow a text: the endpoint did not go on with it.
        """
        parts = BLANK_LINE.split(piece)
        kept = [self._seam]
        self._seam = b""
        try:
            for index in range(0, len(parts) - 1, 2):
                event = self._event(parts[index])
                if event:
                    kept.append(event + parts[index + 1])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UpstreamFailed("The endpoint that was to continue a text sent what cannot be read.") from error
        return b"".join(kept)

    def _event(self, event: bytes) -> bytes:
        """One event; empty where nothing of it is left."""
        data = data_of(event)
        if not data or data == DONE:
            return event
        chunk: dict[str, Any] = msgspec.json.decode(data)
        choices = chunk.get("choices")
        if choices and isinstance(choices, list):
            chunk["choices"] = [choice for choice in choices if self._is_left(choice)]
            if not chunk["choices"]:
                return b""
        elif chunk.get("usage") is not None:
            chunk["usage"] = self._usage(chunk["usage"])
        return b"data: " + msgspec.json.encode({**chunk, **self._unfinished.identity})

    def _is_left(self, choice: Any) -> bool:  # noqa: ANN401 - JSON
        """Take off what the client has already; whether anything is left."""
        delta = (choice.get("delta") if isinstance(choice, dict) else None) or {}
        if not is_text(choice, delta):
            raise UpstreamFailed("The endpoint that was to continue a text answered with something else.")
        delta.pop("role", None)
        content = delta.get("content")
        if content and self._owed:
            delta["content"] = content = self._without_owed(content)
        return bool(content or choice.get("finish_reason"))

    def _without_owed(self, content: str) -> str:
        """``content`` without the white space that the client has already."""
        same = 0
        for ours, theirs in zip(self._owed, content, strict=False):
            if ours != theirs:
                break
            same += 1
        # What follows text, or other white space, is the model's own.
        self._owed = self._owed[same:] if same == len(content) else ""
        return content[same:]

    def _usage(self, reported: dict[str, Any]) -> dict[str, Any]:
        """``reported`` of the rest, with the counts of the whole answer."""
        whole = self._unfinished.usage(self._events.usage, self._events.counted_output())
        details = reported.get("prompt_tokens_details")
        if isinstance(details, dict) and details.get("cached_tokens"):
            reported = {**reported, "prompt_tokens_details": {**details, "cached_tokens": whole.cached}}
        return {
            **reported,
            "prompt_tokens": whole.input,
            "completion_tokens": whole.output,
            "total_tokens": whole.input + whole.output,
        }
