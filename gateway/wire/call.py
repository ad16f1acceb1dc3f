"""A request's body, peeked at: only what routing, admission and accounting read. The bytes stay as they came."""

import re
from typing import Final

import msgspec

from gateway.errors import InvalidRequest
from gateway.wire.members import may_escape_letters, top_level_values
from gateway.wire.operations import Operation
from gateway.wire.shapes import ABSENT, CallPeek, ChatPeek, StreamOptions, TextOptions

MODEL_CHARACTERS_MAX = 256
"""The longest ``model``: it is repeated in errors, records and the log."""
_FIELD = re.compile(r" - at `\$\.?([^`]*)`$")


class Call:
    """What one request asks for.

    Attributes:
        body: As it came.
        stream_options: The JSON of it, ``None`` where there is none.
        wants_usage: Whether a stream's usage was asked for.
        max_output: The caller's bound on tokens per answer, ``None`` where it set none.
        choices: How many answers it wants in all.
        tools: Whether it offers any.
        response_format: ``text``, ``json_object`` or ``json_schema``.
        media: Whether the prompt may hold images or sound, whose tokens its size does not bound.
    """

    __slots__ = (
        "body", "choices", "max_output", "media", "model", "response_format", "stream", "stream_options", "tools",
        "wants_usage",
    )  # fmt: skip

    def __init__(
        self,
        *,
        body: bytes,
        model: str,
        stream: bool,
        stream_options: bytes | None,
        wants_usage: bool,
        max_output: int | None,
        choices: int,
        tools: bool,
        response_format: str,
        media: bool,
    ) -> None:
        self.body = body
        self.model = model
        self.stream = stream
        self.stream_options = stream_options
        self.wants_usage = wants_usage
        self.max_output = max_output
        self.choices = choices
        self.tools = tools
        self.response_format = response_format
        self.media = media


_NOTHING: Final = (b"", b"null")
_READ: Final = frozenset({
    "best_of", "max_completion_tokens", "max_output_tokens", "max_tokens", "messages", "model", "n", "prompt",
    "response_format", "stream", "stream_options", "text", "tools",
})  # fmt: skip
"""What decides on a request's way and cost: where it stood twice, the endpoint might take the other one."""

_peek: Final = msgspec.json.Decoder(CallPeek).decode
_peek_chat: Final = msgspec.json.Decoder(ChatPeek).decode
_stream_options: Final = msgspec.json.Decoder(StreamOptions).decode
_text: Final = msgspec.json.Decoder(TextOptions).decode
_prompts: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


def read_call(body: bytes, operation: Operation) -> Call:
    """Peek into ``body``.

    Raises:
        InvalidRequest: It is not a JSON object in UTF-8, lacks ``model``, or a field that the gateway reads has a wrong
            type.
    """
    try:
        if not body.isascii():
            body.decode()  # what is not read must be text all the same
        peek, all_text = _peeked(body)
        raw_options = bytes(peek.stream_options) if peek.stream_options is not ABSENT else b""
        options = _stream_options(raw_options) if raw_options not in _NOTHING else None
        prompts = _count_prompts(bytes(peek.prompt)) if operation.generates and peek.prompt is not ABSENT else 1
        text = _text(peek.text) if peek.text is not ABSENT and bytes(peek.text)[:1] == b"{" else None
    except msgspec.ValidationError as error:
        field = _FIELD.search(str(error))
        message = _FIELD.sub("", str(error)).replace("`", "")
        raise InvalidRequest(
            f"The body's field {field[1]!r} is not valid: {message}."
            if field
            else f"The body is not valid: {message}.",
            param=field[1] if field else None,
        ) from error
    except RecursionError as error:
        raise InvalidRequest("The body is nested too deeply.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The body is not JSON: {error}. Send a JSON object.") from error
    if not peek.model:
        raise InvalidRequest(
            'The body has no "model". Send the name of a tier, or "auto"; GET /v1/models lists the names.',
            param="model",
        )
    if len(peek.model) > MODEL_CHARACTERS_MAX:
        raise InvalidRequest(f'The body\'s "model" has more than {MODEL_CHARACTERS_MAX} characters.', param="model")
    if _may_double(body, peek):
        _refuse_doubled(body)
    answers, max_output = _wanted(peek)
    form = text.format if text is not None else peek.response_format
    return Call(
        body=body,
        model=peek.model,
        stream=bool(peek.stream),
        stream_options=raw_options if options is not None else None,
        wants_usage=options is not None and bool(options.include_usage),
        max_output=max_output,
        choices=answers * prompts,
        tools=bool(peek.tools),
        response_format=(form.type if form is not None else None) or "text",
        media=not all_text and _may_hold_media(body),
    )


def _wanted(peek: CallPeek) -> tuple[int, int | None]:
    """How many answers, and the largest bound on their tokens, ``None`` where none is set."""
    answers = 1
    if peek.n is not None or peek.best_of is not None:
        answers = max(peek.n or 1, peek.best_of or 1)
        if min(peek.n or 1, peek.best_of or 1) < 0:
            raise InvalidRequest("The body asks for a negative number of answers.")
    largest: int | None = None
    for bound in (peek.max_tokens, peek.max_completion_tokens, peek.max_output_tokens):
        if bound is not None:
            if bound < 0:
                raise InvalidRequest("The body asks for a negative number of tokens.")
            largest = bound if largest is None or bound > largest else largest
    return answers, largest


def _may_double(body: bytes, peek: CallPeek) -> bool:
    """Whether a field that the gateway reads may stand in the body twice: its name does, at whatever depth.

    Only names that are there are looked for, since each look is one over the whole body.
    """
    return (
        body.count(b'"messages"') > 1
        or may_escape_letters(body)
        or (peek.stream is not None and body.count(b'"stream"') > 1)
        or (peek.stream_options is not ABSENT and body.count(b'"stream_options"') > 1)
        or (peek.max_tokens is not None and body.count(b'"max_tokens"') > 1)
        or (peek.max_completion_tokens is not None and body.count(b'"max_completion_tokens"') > 1)
        or (peek.max_output_tokens is not None and body.count(b'"max_output_tokens"') > 1)
        or (peek.n is not None and body.count(b'"n"') > 1)
        or (peek.best_of is not None and body.count(b'"best_of"') > 1)
        or (peek.prompt is not ABSENT and body.count(b'"prompt"') > 1)
    )


def _refuse_doubled(body: bytes) -> None:
    seen: set[str] = set()
    for name, _, _ in top_level_values(body):
        if name in _READ and name in seen:
            raise InvalidRequest(f'The body has "{name}" twice. Send it once.', param=name)
        seen.add(name)


def _peeked(body: bytes) -> tuple[CallPeek, bool]:
    """What is read of ``body``, and whether it is a chat whose messages have each a text as content, or none."""
    try:
        chat = _peek_chat(body)
    except msgspec.ValidationError:
        return _peek(body), False  # a content in parts; other operations' messages may be anything
    return chat, chat.messages is not None


def _may_hold_media(body: bytes) -> bool:
    """Whether tokens may hide in the prompt that the body's size does not bound, such as an image by its address.

    Looks for the keys ``image_url``, ``audio_url``, ``video_url``, ``input_image``, ``input_audio`` and ``source``.
    """
    return body.find(b'_url"') >= 0 or body.find(b'"input_') >= 0 or body.find(b'"source"') >= 0


def _count_prompts(prompt: bytes) -> int:
    """How many prompts the ``prompt`` of a completion holds: a list of texts, or of lists of token ids."""
    if prompt[:1] != b"[":
        return 1
    items = _prompts(prompt)
    return len(items) if items and bytes(items[0])[:1] in {b'"', b"["} else 1
