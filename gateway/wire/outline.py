"""A body without what its messages say: where a name can stand at the top, in a few bytes.

Looking for a name in a whole body costs more than reading the body, and most of it is the messages' text.
"""

from typing import Final

from gateway.wire.members import may_escape_letters

_MESSAGES: Final = b'"messages"'
_COLON: Final = ord(":")
_SPACE: Final = ord(" ")
_TAB: Final = ord("\t")
_LINE_FEED: Final = ord("\n")
_RETURN: Final = ord("\r")


class Outline:
    """The bytes of a JSON object around one value, that of a member named ``messages``, where it was found.

    No name of the object itself stands in what was left out: it is one whole value, behind a colon. That holds for any
    member of any depth whose name ends so, so it does not matter whether the right one was found.

    Attributes:
        text: The body without the value, or all of it.
        plain: Whether each name in ``text`` is written in its own letters, as far as it matters here.
        sure: Whether it is known that ``model`` stands there once; see ``expect``.
    """

    __slots__ = ("_at", "_left_out", "plain", "sure", "text")

    def __init__(self, body: bytes, messages: bytes) -> None:
        """``body`` must be a JSON object in UTF-8; ``messages`` is an array as it stands there, or empty."""
        at = _value_of_messages(body) if messages else 0
        stop = at + len(messages)
        if at and body[at:stop] == messages:
            self._at, self._left_out = at, len(messages)
            self.text = body[:at] + body[stop:]
        else:
            self._at, self._left_out = len(body), 0
            self.text = body
        self.plain = not may_escape_letters(self.text)
        self.sure = False

    def expect(self, names: int) -> bool:
        """Whether as many names and texts begin with "m" as the body is known to have names: then each stands there
        once. One look for all of them.
        """
        self.sure = self.plain and self.text.count(b'"m') == names
        return self.sure

    def place(self, at: int) -> int:
        """Where in the body stands what stands ``at`` in the text."""
        return at if at < self._at else at + self._left_out


def _value_of_messages(body: bytes) -> int:
    """Where the value behind the first ``"messages"`` begins; 0 where that is no name."""
    at = body.find(_MESSAGES)
    if at < 0:
        return 0
    at = _behind_space(body, at + len(_MESSAGES))
    return _behind_space(body, at + 1) if at < len(body) and body[at] == _COLON else 0


def _behind_space(body: bytes, at: int) -> int:
    while at < len(body):
        byte = body[at]
        if byte != _SPACE and byte != _LINE_FEED and byte != _RETURN and byte != _TAB:  # noqa: PLR1714 - ten times as fast
            return at
        at += 1
    return at
