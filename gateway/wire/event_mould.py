"""What the events of one stream have in common: all but a few characters of content.

An endpoint sends a token an event. The next one is the last one with another content, so most need not be decoded:
where the bytes around the content are the same, and the content is what may stand in a JSON string as it is, the event
is as well-formed and says the same.
"""

from typing import Final

from gateway.wire.event_lines import is_text

MISSES_MAX: Final = 8
"""After so many events in a row that were not like the one before, a stream's are compared no more."""
_NAMES: Final = (b'"content":', b'"reasoning_content":', b'"reasoning":', b'"text":')
_AS_IT_IS: Final = bytes(0xFF if byte < 0x20 or byte in b'"\\' else byte for byte in range(256))  # noqa: PLR2004 - ASCII
"""Changes what ends a JSON string, begins an escape, or is a control character, and nothing else."""


class EventMould:
    """The form of one stream's events."""

    __slots__ = ("_after", "_before", "_misses", "_start", "_stop")

    def __init__(self) -> None:
        self._before = self._after = b""
        self._start = self._stop = 0
        self._misses = 0

    def fits(self, event: bytes) -> bool:
        """Whether ``event`` is the one that was taken but for its content, which needs no escape."""
        start, stop = self._start, len(event) - self._stop
        if not start or stop < start or event[:start] != self._before or event[stop:] != self._after:
            return False
        content = event[start:stop]
        if content.translate(_AS_IT_IS) != content or not is_text(content):
            return False
        self._misses = 0
        return True

    def take(self, event: bytes) -> None:
        """Take the form of ``event``, whose data was found to be JSON, and which did not fit.

        A name's end followed by a colon and a quote begins a string wherever that stands: within a string a quote has
        a backslash before it. And the string ends with the next quote, as there is no backslash in it. So the JSON
        around it is the same for every content.
        """
        if self._misses > MISSES_MAX:
            return
        self._misses += 1
        self._start = 0
        if self._misses > MISSES_MAX:
            return
        for name in _NAMES:
            at = event.find(name)
            if at < 0:
                continue
            start = at + len(name)
            if event[start : start + 1] == b" ":
                start += 1
            stop = event.find(b'"', start + 1)
            if event[start : start + 1] == b'"' and event.find(b"\\", start, stop) < 0:
                self._start, self._stop = start + 1, len(event) - stop
                self._before, self._after = event[: start + 1], event[stop:]
                return
