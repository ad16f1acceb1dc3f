"""A stream of server-sent events, followed on its way: what passes, when the first token came, usage, and the end.

Events pass as the bytes that came. Four things are changed, and nothing else: the usage chunk is withheld from a
client that did not ask for it; usage that rides on a chunk with content is taken off (CrewAI drops such a chunk's
content) and sent in a last chunk of its own to a client that asked; a client that asked gets the gateway's own count
where the endpoint reported none; and a missing end mark is added where the answer is otherwise complete.

An answer is complete when each of its choices has a finish reason. A stream that ends without, even in good order and
with ``[DONE]``, is a failure, and so are an event that cannot be read and an error inside the stream.
"""

from collections.abc import Sequence
from itertools import repeat
from typing import Final

import msgspec

from gateway.errors import UpstreamFailed
from gateway.wire.event_lines import BLANK_LINE, DONE, LongEvent, data_of, is_text
from gateway.wire.event_mould import EventMould
from gateway.wire.operations import Dialect
from gateway.wire.shapes import ABSENT, Choice, Choices, ContentEvent, Delta, Event, Inner
from gateway.wire.usage import to_usage
from tiers.estimate import likely_prompt_tokens, likely_tokens
from tiers.usage import Usage

EVENT_BYTES_MAX: Final = 8 * 1024 * 1024
"""The longest single event that is accepted from an endpoint."""
_TOO_LONG: Final = f"The endpoint sent an event of more than {EVENT_BYTES_MAX} bytes."
LONG_EVENT_BYTES: Final = 65_536
"""An unfinished event that is longer is put together once its end has come, and not with each piece."""

_NOTHING: Final = (b"", b"null", b'""', b"[]", b"{}")
_RESPONSE_ENDS = ("response.completed", "response.incomplete", "response.failed")
_MESSAGE_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_AROUND_BYTES: Final = len(b"data: \n\n")
_UNFINISHED_CHOICE: Final = b'"finish_reason":null'

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
        "_choices", "_content_bytes", "_content_events", "_dialect", "_done", "_finished", "_has_choices",
        "_last_content", "_long", "_mould", "_overhead", "_prompt_bytes", "_tail", "_usage_owed", "_wants_usage",
        "token_seen", "usage",
    )  # fmt: skip

    def __init__(self, dialect: Dialect, *, wants_usage: bool, choices: int = 1, prompt_bytes: int = 0) -> None:
        """``choices``: how many answers were asked for. ``prompt_bytes``: the size of the request."""
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
        self._choices = choices
        self._finished = 0
        self._prompt_bytes = prompt_bytes
        self._long: LongEvent | None = None
        self._mould = EventMould()
        self.usage: Usage | None = None
        self.token_seen = False

    def feed(self, data: bytes) -> bytes:
        """The bytes to send on now; a part of an event is kept until its rest has come.

        Raises:
            UpstreamFailed: The endpoint reported an error inside its stream, or an event is not what it should be.
        """
        if self._tail:
            if len(self._tail) <= LONG_EVENT_BYTES:
                data = self._tail + data
            elif (whole := self._gathered(data)) is not None:
                data = whole
            else:
                return b""
        elif self.token_seen and self._is_plain(data):
            return data
        if data.find(b"\r") < 0:
            events, ends = data.split(b"\n\n"), None
        else:
            parts = BLANK_LINE.split(data)
            events, ends = parts[::2], parts[1::2]
        tail = events.pop()
        if not events:
            return self._keep(tail)
        self._tail = tail
        number, size = self._content_events, self._content_bytes
        try:
            return self._pass(data[: len(data) - len(tail)], events, ends)
        except UpstreamFailed:
            # Of these nothing is sent on, so nothing counts: what is continued elsewhere brings it once more.
            self._content_events, self._content_bytes = number, size
            raise

    def finish(self) -> bytes:
        """The last bytes to send when the endpoint's answer has ended.

        Raises:
            UpstreamFailed: The answer ended before it was complete.
        """
        last = b""
        tail = self._tail if self._long is None else self._long.whole()
        tail, self._tail, self._long = tail.rstrip(b"\r\n"), b"", None
        if tail.strip() and not (self.finished and _is_cut(tail)):
            last = self._pass(tail + b"\n\n", [tail])
        if self._done:
            return last
        if not self.finished or self._dialect is Dialect.RESPONSES:
            raise UpstreamFailed("The endpoint's stream ended before the answer was complete.")
        self._done = True
        return last + (self._last_usage() + b"data: [DONE]\n\n" if self._has_choices else _MESSAGE_STOP)

    @property
    def complete(self) -> bool:
        """Whether the stream's own end marker has come."""
        return self._done

    @property
    def finished(self) -> bool:
        """Whether all content has come: each answer has its finish reason. Usage and the end mark may be missing."""
        return self._finished >= self._choices

    def counted_output(self) -> int:
        """Output tokens by the gateway's own count, for a stream that reported none.

        vLLM sends a token an event, or several under load: the larger of the number of events with content and a
        token for every four bytes of content.
        """
        content = self._content_bytes - self._content_events * self._overhead
        return max(self._content_events, likely_tokens(max(0, content)))

    def _is_plain(self, data: bytes) -> bool:
        """Whether ``data`` is one event of content that passes as it is: what nearly all of a stream consists of."""
        if self._mould.fits(data):
            self._content_events += 1
            self._content_bytes += len(data) - _AROUND_BYTES
            return True
        size = data.find(b"\n")
        if not self._has_choices or data[size:] != b"\n\n" or data[:6] != b"data: " or data.find(b"\r") >= 0:
            return False
        content = data[6:size]
        try:
            chunk = _decode_content(content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        if chunk.usage is not None or chunk.error is not ABSENT or not chunk.choices:
            return False
        if not is_text(data):
            return False
        self._mould.take(data)
        self._last_content = content
        self._content_events += 1
        self._content_bytes += len(content)
        return True

    def _keep(self, data: bytes) -> bytes:
        if len(data) > EVENT_BYTES_MAX:
            raise UpstreamFailed(_TOO_LONG)
        self._tail = data
        return b""

    def _gathered(self, data: bytes) -> bytes | None:
        """The long event whose beginning is kept, once its end has come with ``data``."""
        long = self._long = self._long or LongEvent(self._tail)
        if not long.add(data):
            if long.size > EVENT_BYTES_MAX:
                raise UpstreamFailed(_TOO_LONG)
            return None
        self._long = None
        return long.whole()

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
        data = data_of(event)
        if not data:
            return event
        if data == DONE:
            return self._follow_done(event)
        if not is_text(data):
            raise UpstreamFailed("The endpoint sent an event that cannot be read: it is not UTF-8.")
        chunk = _decode(data)
        if bytes(chunk.error) not in _NOTHING:
            raise UpstreamFailed(f"The endpoint reported an error inside its stream: {_message(bytes(chunk.error))}")
        if self._has_choices:
            return self._follow_choices(event, data, chunk)
        self._follow_typed(data, chunk)
        return event

    def _follow_done(self, event: bytes) -> bytes:
        if self._has_choices and not self._finished:
            raise UpstreamFailed("The endpoint's stream ended before its answer had a finish reason.")
        self._done = True
        owed = self._last_usage()
        return owed + event if owed else event

    def _last_usage(self) -> bytes:
        """The usage chunk that is to stand before the end: what was taken off, or the gateway's own count."""
        if self._usage_owed or self.usage is not None or not self._wants_usage or not self._has_choices:
            return self._usage_owed
        chunk: dict[str, object] = msgspec.json.decode(self._last_content)
        prompt, output = likely_prompt_tokens(self._prompt_bytes), self.counted_output()
        counts = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
        return b"data: " + msgspec.json.encode(chunk | {"choices": [], "usage": counts}) + b"\n\n"

    def _follow_choices(self, event: bytes, data: bytes, chunk: Event) -> bytes:
        has_choices = bytes(chunk.choices) not in _NOTHING
        if has_choices:
            self._last_content = data
            if self.token_seen:
                self._content_events += 1
                self._content_bytes += len(data)
            else:
                self._look_for_token(data)
            if data.find(_UNFINISHED_CHOICE) < 0 or self._choices > 1:
                self._finished += sum([1 for choice in self._decode_choices(data) if choice.finish_reason])
        if chunk.usage is None:
            return event
        usage = to_usage(chunk.usage, self._dialect)
        if usage is not None:
            self.usage = usage
        if not has_choices:
            if usage is None:
                return b""  # it says nothing: whoever asked gets the gateway's count at the end
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
        elif kind == "message_delta" and data.find(b'"stop_reason"') >= 0:
            self._finished += _stop_reason_in(data)
        elif kind == "error":
            raise UpstreamFailed(f"The endpoint reported an error inside its stream: {_message(bytes(chunk.message))}")
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

    def _decode_choices(self, data: bytes) -> list[Choice]:
        try:
            return _choices(data).choices or []
        except msgspec.DecodeError as error:
            raise UpstreamFailed("The endpoint sent a chunk whose choices cannot be read.") from error


def _is_cut(event: bytes) -> bool:
    """Whether ``event`` is less than a whole one."""
    data = data_of(event)
    try:
        if data and data != DONE:
            _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return True
    return not data


def _stop_reason_in(data: bytes) -> bool:
    """Whether an event of ``/v1/messages`` says why the answer stopped."""
    delta = msgspec.json.decode(data).get("delta")
    return isinstance(delta, dict) and delta.get("stop_reason") is not None


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
    value: object = msgspec.json.decode(raw or b'""')
    if isinstance(value, dict):
        value = value.get("message", value)
    return str(value)[:500]
