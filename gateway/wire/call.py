"""A request's body, peeked at: only what routing, admission and accounting read. The bytes stay as they came."""

import re
from typing import Final, cast

import msgspec

from gateway.errors import InvalidRequest
from gateway.wire.members import top_level_values
from gateway.wire.operations import Operation
from gateway.wire.outline import Outline
from gateway.wire.shapes import (
    ABSENT,
    CallPeek,
    FormatOption,
    PlainMessage,
    PoolingPeek,
    StreamOptions,
    TextMessage,
    TextOptions,
)
from tiers.estimate import PLAIN, Prompt

MODEL_CHARACTERS_MAX: Final = 256
"""The longest ``model``: it is repeated in errors, records and the log."""
_FIELD: Final = re.compile(r" - at `\$\.?([^`]*)`$")


class Call:
    """What one request asks for.

    Attributes:
        body: As it came.
        outline: Where names stand in it.
        stream_options: The JSON of it, ``None`` where there is none.
        wants_usage: Whether a stream's usage was asked for.
        max_output: The caller's bound on tokens per answer, ``None`` where it set none.
        choices: How many answers it wants in all.
        tools: Whether it offers any.
        response_format: ``text``, ``json_object`` or ``json_schema``.
        prompt: How its prompts' tokens follow from the body's size.
    """

    __slots__ = (
        "body", "choices", "max_output", "model", "outline", "prompt", "response_format", "stream", "stream_options",
        "tools", "wants_usage",
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
        prompt: Prompt,
        outline: Outline | None = None,
    ) -> None:
        """Without an ``outline`` of it the body's own bytes are looked through for names."""
        self.body = body
        self.outline = outline if outline is not None else Outline(body, b"")
        self.model = model
        self.stream = stream
        self.stream_options = stream_options
        self.wants_usage = wants_usage
        self.max_output = max_output
        self.choices = choices
        self.tools = tools
        self.response_format = response_format
        self.prompt = prompt


_ABSENT: Final = ABSENT
_NOTHING: Final = (b"", b"null")
_READ: Final = frozenset({
    "best_of", "max_completion_tokens", "max_output_tokens", "max_tokens", "messages", "model", "n", "prompt",
    "response_format", "stream", "stream_options", "text", "tools",
})  # fmt: skip
"""What decides on a request's way and cost: where it stood twice, the endpoint might take the other one."""

_peek: Final = msgspec.json.Decoder(CallPeek).decode
_fields: Final = msgspec.structs.astuple
_chat: Final = msgspec.json.Decoder(list[PlainMessage]).decode
_texts: Final = msgspec.json.Decoder(list[TextMessage]).decode
_stream_options: Final = msgspec.json.Decoder(StreamOptions).decode
_text: Final = msgspec.json.Decoder(TextOptions).decode
_prompts: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_pooled: Final = msgspec.json.Decoder(PoolingPeek).decode


class _Peek:
    """A ``CallPeek`` whose fields cost nothing to read; what is not there is empty bytes."""

    __slots__ = (
        "best_of", "chat_template", "chat_template_kwargs", "documents", "max_completion_tokens", "max_output_tokens",
        "max_tokens", "messages", "model", "n", "previous_response_id", "prompt", "response_format", "stream",
        "stream_options", "text", "tools",
    )  # fmt: skip

    def __init__(self, fields: "_Fields") -> None:
        (
            self.model, self.stream, stream_options, self.max_tokens, self.max_completion_tokens,
            self.max_output_tokens, self.n, self.best_of, prompt, self.tools, self.response_format, text, messages,
            documents, chat_template, chat_template_kwargs, previous_response_id,
        ) = fields  # fmt: skip
        self.stream_options = _raw(stream_options)
        self.prompt = _raw(prompt)
        self.text = _raw(text)
        self.messages = _raw(messages)
        self.documents = _raw(documents)
        self.chat_template = _raw(chat_template)
        self.chat_template_kwargs = _raw(chat_template_kwargs)
        self.previous_response_id = _raw(previous_response_id)


_Fields = tuple[
    str | None, bool | None, msgspec.Raw, int | None, int | None, int | None, int | None, int | None, msgspec.Raw,
    list[msgspec.Raw] | None, FormatOption | None, msgspec.Raw, msgspec.Raw, msgspec.Raw, msgspec.Raw, msgspec.Raw,
    msgspec.Raw,
]  # fmt: skip


def _raw(value: msgspec.Raw) -> bytes:
    return b"" if value is _ABSENT else bytes(value)


def read_call(body: bytes, operation: Operation) -> Call:
    """Peek into ``body``.

    Raises:
        InvalidRequest: It is not a JSON object in UTF-8, lacks ``model``, or a field that the gateway reads has a wrong
            type.
    """
    try:
        if not body.isascii():
            body.decode()  # what is not read must be text all the same
        peek = _Peek(cast("_Fields", _fields(_peek(body))))
        alone, all_text = _texts_of(peek)
        options = _stream_options(peek.stream_options) if peek.stream_options not in _NOTHING else None
        prompts = _count_prompts(peek.prompt) if operation.generates and peek.prompt else 1
        text = _text(peek.text) if peek.text[:1] == b"{" else None
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
    outline = Outline(body, peek.messages if peek.messages[:1] == b"[" else b"")
    if _may_double(outline, peek):
        _refuse_doubled(body)
    answers, max_output = _wanted(peek)
    tools = bool(peek.tools)
    form = text.format if text is not None else peek.response_format
    return Call(
        body=body,
        model=peek.model,
        stream=bool(peek.stream),
        stream_options=peek.stream_options if options is not None else None,
        wants_usage=options is not None and bool(options.include_usage),
        max_output=max_output,
        choices=answers * prompts,
        tools=tools,
        response_format=(form.type if form is not None else None) or "text",
        prompt=_prompt(peek, body, operation, prompts, alone=alone, all_text=all_text),
        outline=outline,
    )


def _wanted(peek: _Peek) -> tuple[int, int | None]:
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


def _may_double(outline: Outline, peek: _Peek) -> bool:
    """Whether a field that the gateway reads may stand in the body twice: its name does, at whatever depth.

    Only names that are there are looked for, since each look is one over the whole outline.
    """
    text = outline.text
    bounds = (
        (peek.max_tokens is not None) + (peek.max_completion_tokens is not None) + (peek.max_output_tokens is not None)
    )
    expected = outline.expect(1 + bounds + bool(peek.messages))
    return (
        not outline.plain
        or (not expected and _may_double_bound(outline.text, peek))
        or (peek.stream is not None and text.count(b'"stream"') > 1)
        or (bool(peek.stream_options) and text.count(b'"stream_options"') > 1)
        or (peek.n is not None and text.count(b'"n"') > 1)
        or (peek.best_of is not None and text.count(b'"best_of"') > 1)
        or (bool(peek.prompt) and text.count(b'"prompt"') > 1)
    )


def _may_double_bound(text: bytes, peek: _Peek) -> bool:
    """As ``_may_double``, of the names that begin with "m" but for ``model``."""
    return (
        text.count(b'"messages"') > 1
        or (peek.max_tokens is not None and text.count(b'"max_tokens"') > 1)
        or (peek.max_completion_tokens is not None and text.count(b'"max_completion_tokens"') > 1)
        or (peek.max_output_tokens is not None and text.count(b'"max_output_tokens"') > 1)
    )


def _refuse_doubled(body: bytes) -> None:
    seen: set[str] = set()
    for name, _, _ in top_level_values(body):
        if name in _READ and name in seen:
            raise InvalidRequest(f'The body has "{name}" twice. Send it once.', param=name)
        seen.add(name)


def _texts_of(peek: _Peek) -> tuple[bool, bool]:
    """Whether the prompt is nothing but a chat's texts; whether it is a chat of texts, which may stand beside tool
    calls and the like.
    """
    messages = peek.messages
    if messages[:1] != b"[":
        return False, False
    if (
        peek.documents in _NOTHING
        and peek.chat_template in _NOTHING
        and peek.chat_template_kwargs in _NOTHING
        and peek.previous_response_id in _NOTHING
    ):
        try:
            _chat(messages)
        except msgspec.ValidationError:
            pass
        else:
            return True, True
    try:
        _texts(messages)
    except msgspec.ValidationError:
        return False, False  # a content in parts; other operations' messages may be anything
    return False, True


def _may_hold_media(body: bytes) -> bool:
    """Whether tokens may hide in the prompt that the body's size does not bound, such as an image by its address.

    Looks for the keys ``image_url``, ``audio_url``, ``video_url``, ``input_image``, ``input_audio`` and ``source``.
    """
    return body.find(b'_url"') >= 0 or body.find(b'"input_') >= 0 or body.find(b'"source"') >= 0


def _prompt(peek: _Peek, body: bytes, operation: Operation, prompts: int, *, alone: bool, all_text: bool) -> Prompt:
    """How the prompts' tokens follow from the body's size; ``alone`` where they are a chat's texts and nothing else."""
    tools = bool(peek.tools)
    if alone:
        return Prompt(rendered=True) if tools else PLAIN
    if not operation.generates:
        return _pooled_prompt(body)
    rendered = tools or bool(peek.chat_template_kwargs or peek.documents) or body.find(b'"tool_calls"') >= 0
    unbounded = (
        # Whatever the caller's own template says, or what was said in answers that the endpoint keeps.
        peek.chat_template not in _NOTHING
        or peek.previous_response_id not in _NOTHING
        or (not all_text and _may_hold_media(body))
    )
    if prompts == 1 and not unbounded and not rendered:
        return PLAIN
    return Prompt(unbounded=unbounded, rendered=rendered, count=prompts)


def _pooled_prompt(body: bytes) -> Prompt:
    """Of embeddings, whose inputs stand alone, and of scores, which are of pairs: a question with each document."""
    peek = _pooled(body)
    alone = max(_count(peek.input), _count(peek.texts))
    pairs = max([
        _count(side)
        for side in (
            peek.documents, peek.queries, peek.items, peek.text_1, peek.text_2, peek.data_1, peek.data_2,
        )
    ])  # fmt: skip
    return Prompt(unbounded=_may_hold_media(body), count=max(alone, pairs, 1), repeated=pairs > 0)


def _count(value: msgspec.Raw) -> int:
    """How many prompts stand in a list, at most: one, where it is one of token ids; 1 for a single text, 0 for none."""
    text = bytes(value)
    if text in _NOTHING:
        return 0
    return len(_prompts(text)) if text[:1] == b"[" else 1


def _count_prompts(prompt: bytes) -> int:
    """How many prompts the ``prompt`` of a completion holds: a list of texts, or of lists of token ids."""
    if prompt[:1] != b"[":
        return 1
    items = _prompts(prompt)
    return len(items) if items and bytes(items[0])[:1] in {b'"', b"["} else 1
