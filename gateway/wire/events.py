"""A stream of server-sent events, followed on its way: what passes, when the first token came, usage, and the end.

Events pass as the bytes that came. Three things are changed, and nothing else: the usage chunk is withheld from a
client that did not ask for it; usage that rides on a chunk with content is taken off (CrewAI drops such a chunk's
content) and sent in a last chunk of its own to a client that asked; and a missing ``[DONE]`` is added where the
answer is otherwise complete.
"""

import re
from collections.abc import Sequence
from itertools import repeat
from typing import Final

import msgspec

from gateway.errors import UpstreamFailed
from gateway.wire.operations import Dialect
from gateway.wire.shapes import ABSENT, Choice, Choices, ContentEvent, Delta, Event, Inner
from gateway.wire.usage import to_usage
from tiers.estimate import likely_tokens
from tiers.usage import Usage

EVENT_BYTES_MAX = 8 * 1024 * 1024
"""The longest single event that is accepted from an endpoint."""

_BLANK_LINE = re.compile(rb"((?:\r\n|\n)(?:\r\n|\n)|\r\r)")
_LINE = re.compile(rb"\r\n|\n|\r")
_DONE: Final = b"[DONE]"
_NOTHING: Final = (b"", b"null", b'""', b"[]", b"{}")
_RESPONSE_ENDS = ("response.completed", "response.incomplete", "response.failed")


_decode: Final = msgspec.json.Decoder(Event).decode
_decode_content: Final = msgspec.json.Decoder(ContentEvent).decode
_choices: Final = msgspec.json.Decoder(Choices).decode
_inner: Final = msgspec.json.Decoder(Inner).decode
_string: Final = msgspec.json.Decoder(str).decode


class EventStream:
    """Follows one stream. ``feed`` it what comes; send on what it returns.

    Attributes:
        usage: What the endpoint reported so far, ``None`` until then.
        token_seen: Whether an event with content has come (a role alone does not count).
    """

    __slots__ = (
        "_content_bytes", "_content_events", "_dialect", "_done", "_has_choices", "_last_content", "_overhead", "_tail",
        "_usage_owed", "_wants_usage", "token_seen", "usage",
    )  # fmt: skip

    def __init__(self, dialect: Dialect, *, wants_usage: bool) -> None:
        self._dialect = dialect
        self._has_choices = dialect in {Dialect.CHAT, Dialect.COMPLETION}
        self._wants_usage = wants_usage
        self._tail = b""
        self._done = False
        self._usage_owed = b""
        self._last_content = b""
        self._content_events = 0
        self._content_bytes = 0
        self._overhead = 0
        self.usage: Usage | None = None
        self.token_seen = False

    def feed(self, data: bytes) -> bytes:
        """The bytes to send on now; a part of an event is kept until its rest has come.

        Raises:
            UpstreamFailed: The endpoint reported an error inside its stream, or an event is not what it should be.
        """
        if self._tail:
            data = self._tail + data
        elif self.token_seen and self._is_plain(data):
            return data
        if data.find(b"\r") < 0:
            events, ends = data.split(b"\n\n"), None
        else:
            parts = _BLANK_LINE.split(data)
            events, ends = parts[::2], parts[1::2]
        tail = events.pop()
        if not events:
            return self._keep(tail)
        self._tail = tail
        return self._pass(data[: len(data) - len(tail)], events, ends)

    def finish(self) -> bytes:
        """The last bytes to send when the endpoint's answer has ended.

        Raises:
            UpstreamFailed: The answer ended before it was complete.
        """
        last = b""
        if self._tail.strip():
            tail, self._tail = self._tail.rstrip(b"\r\n"), b""
            last = self._pass(tail + b"\n\n", [tail])
        if self._done:
            return last
        if self._has_choices and self._finish_reason_seen():
            self._done = True
            return last + self._usage_owed + b"data: [DONE]\n\n"
        raise UpstreamFailed("The endpoint's stream ended before the answer was complete.")

    @property
    def complete(self) -> bool:
        """Whether the stream's own end marker has come."""
        return self._done

    def counted_output(self) -> int:
        """Output tokens by the gateway's own count, for a stream that reported none.

        vLLM sends a token an event, or several under load: the larger of the number of events with content and a
        token for every four bytes of content.
        """
        content = self._content_bytes - self._content_events * self._overhead
        return max(self._content_events, likely_tokens(max(0, content)))

    def _is_plain(self, data: bytes) -> bool:
        """Whether ``data`` is one event of content that passes as it is: what nearly all of a stream consists of."""
        size = len(data) - 2
        if not self._has_choices or data.find(b"\n") != size or data[:6] != b"data: " or data.find(b"\r") >= 0:
            return False
        content = data[6:size]
        try:
            chunk = _decode_content(content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        if chunk.usage is not None or chunk.error is not ABSENT or not chunk.choices:
            return False
        self._last_content = content
        self._content_events += 1
        self._content_bytes += len(content)
        return True

    def _keep(self, data: bytes) -> bytes:
        if len(data) > EVENT_BYTES_MAX:
            raise UpstreamFailed(f"The endpoint sent an event of more than {EVENT_BYTES_MAX} bytes.")
        self._tail = data
        return b""

    def _pass(self, whole: bytes, events: list[bytes], ends: Sequence[bytes] | None = None) -> bytes:
        """``whole`` itself if every event in it passes as it is, else those that do, each with its own end."""
        passed: list[bytes] | None = None
        for index, event in enumerate(events):
            try:
                kept = self._follow(event)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise UpstreamFailed("The endpoint sent an event that is not valid JSON.") from error
            if kept is not event and passed is None:
                passed = [part + end for part, end in zip(events[:index], ends or repeat(b"\n\n"), strict=False)]
            if passed is not None and (kept or kept is event):
                passed.append(kept + (ends[index] if ends is not None else b"\n\n"))
        return whole if passed is None else b"".join(passed)

    def _follow(self, event: bytes) -> bytes:
        """Read one event; returns it, or what passes in its place."""
        one_line = event.startswith(b"data: ") and event.find(b"\n") < 0 and event.find(b"\r") < 0
        data = event[6:] if one_line else _data_of(event)
        if not data:
            return event
        if data == _DONE:
            self._done = True
            return self._usage_owed + event if self._usage_owed else event
        chunk = _decode(data)
        if bytes(chunk.error) not in _NOTHING:
            raise UpstreamFailed(f"The endpoint reported an error inside its stream: {_message(bytes(chunk.error))}")
        if self._has_choices:
            return self._follow_choices(event, data, chunk)
        self._follow_typed(data, chunk)
        return event

    def _follow_choices(self, event: bytes, data: bytes, chunk: Event) -> bytes:
        has_choices = bytes(chunk.choices) not in _NOTHING
        if has_choices:
            self._last_content = data
            if self.token_seen:
                self._content_events += 1
                self._content_bytes += len(data)
            else:
                self._look_for_token(data)
        if chunk.usage is None:
            return event
        self.usage = to_usage(chunk.usage, self._dialect) or self.usage
        if not has_choices:
            self._usage_owed = b""
            return event if self._wants_usage else b""
        return self._without_usage(data)

    def _look_for_token(self, data: bytes) -> None:
        choices = self._decode_choices(data)
        size = sum(_content_size(choice) for choice in choices)
        if size:
            self.token_seen = True
            self._content_events = 1
            self._content_bytes = len(data)
            self._overhead = len(data) - size

    def _without_usage(self, data: bytes) -> bytes:
        """The chunk in ``data`` without its usage, which is kept for a last chunk of its own if it was asked for."""
        chunk: dict[str, object] = msgspec.json.decode(data)
        usage = chunk.pop("usage")
        if self._wants_usage:
            self._usage_owed = b"data: " + msgspec.json.encode(chunk | {"choices": [], "usage": usage}) + b"\n\n"
        return b"data: " + msgspec.json.encode(chunk)

    def _follow_typed(self, data: bytes, chunk: Event) -> None:
        """Events of ``/v1/responses`` and ``/v1/messages``: they say in ``type`` what they are."""
        kind = _string(chunk.type) if bytes(chunk.type)[:1] == b'"' else ""
        if kind.endswith((".delta", "_delta")) and kind != "message_delta":
            self._content_events += 1
            self._content_bytes += len(data)
            if not self.token_seen:
                self.token_seen = True
                self._overhead = len(data)
        elif kind in _RESPONSE_ENDS or kind == "message_stop":
            self._done = True
        reported = chunk.usage
        if reported is None and chunk.response is not None:
            reported = chunk.response.usage
        if reported is None and bytes(chunk.message)[:1] == b"{":
            reported = _inner(chunk.message).usage
        if reported is not None:
            self._merge(to_usage(reported, self._dialect))

    def _merge(self, usage: Usage | None) -> None:
        """Anthropic's events report the prompt first and the answer later: the larger of each counts."""
        if usage is None or self.usage is None:
            self.usage = usage or self.usage
            return
        self.usage = Usage(
            input=max(usage.input, self.usage.input),
            output=max(usage.output, self.usage.output),
            cached=max(usage.cached, self.usage.cached),
            reasoning=max(usage.reasoning, self.usage.reasoning),
        )

    def _finish_reason_seen(self) -> bool:
        return any(choice.finish_reason for choice in self._decode_choices(self._last_content or b"{}"))

    def _decode_choices(self, data: bytes) -> list[Choice]:
        try:
            return _choices(data).choices or []
        except msgspec.DecodeError as error:
            raise UpstreamFailed("The endpoint sent a chunk whose choices cannot be read.") from error


def _data_of(event: bytes) -> bytes:
    """The ``data`` of an event of several lines (WHATWG HTML, 9.2.6); empty for a comment."""
    values = (line[5:].removeprefix(b" ") for line in _LINE.split(event) if line.startswith(b"data:"))
    return b"\n".join(values)


def _content_size(choice: Choice) -> int:
    """Bytes of content in a chunk's choice; 0 for a role alone, ``null`` or an empty text."""
    delta = choice.delta or Delta()
    parts = (
        delta.content, delta.reasoning_content, delta.reasoning, delta.refusal, delta.tool_calls, delta.function_call,
        choice.text,
    )  # fmt: skip
    return sum(_size(bytes(part)) for part in parts)


def _size(raw: bytes) -> int:
    if raw in _NOTHING:
        return 0
    return len(raw) - 2 if raw.startswith(b'"') else len(raw)


def _message(raw: bytes) -> str:
    """What an endpoint's error says; endpoints send an object with ``message``, or a text."""
    value: object = msgspec.json.decode(raw)
    if isinstance(value, dict):
        value = value.get("message", value)
    return str(value)[:500]
