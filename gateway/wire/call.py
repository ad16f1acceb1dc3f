"""A request's body, peeked at: only what routing, admission and accounting read. The bytes stay as they came."""

import re
from typing import Final

import msgspec

from gateway.errors import InvalidRequest
from gateway.wire.members import may_escape_letters, top_level_values
from gateway.wire.operations import Operation
from gateway.wire.shapes import ABSENT, CallPeek, ChatPeek, OpenPeek, PoolingPeek, StreamOptions, TextOptions, TextPeek
from tiers.estimate import PLAIN, Prompt

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
        prompt: How its prompts' tokens follow from the body's size.
    """

    __slots__ = (
        "body", "choices", "max_output", "model", "prompt", "response_format", "stream", "stream_options", "tools",
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
        prompt: Prompt,
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
        self.prompt = prompt


_NOTHING: Final = (b"", b"null")
_READ: Final = frozenset({
    "best_of", "max_completion_tokens", "max_output_tokens", "max_tokens", "messages", "model", "n", "prompt",
    "response_format", "stream", "stream_options", "text", "tools",
})  # fmt: skip
"""What decides on a request's way and cost: where it stood twice, the endpoint might take the other one."""

_peek: Final = msgspec.json.Decoder(OpenPeek).decode
_peek_chat: Final = msgspec.json.Decoder(ChatPeek).decode
_peek_texts: Final = msgspec.json.Decoder(TextPeek).decode
_stream_options: Final = msgspec.json.Decoder(StreamOptions).decode
_text: Final = msgspec.json.Decoder(TextOptions).decode
_prompts: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_pooled: Final = msgspec.json.Decoder(PoolingPeek).decode


def read_call(body: bytes, operation: Operation) -> Call:
    """Peek into ``body``.

    Raises:
        InvalidRequest: It is not a JSON object in UTF-8, lacks ``model``, or a field that the gateway reads has a wrong
            type.
    """
    try:
        if not body.isascii():
            body.decode()  # what is not read must be text all the same
        peek, more, all_text = _peeked(body)
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
    tools = bool(peek.tools)
    form = text.format if text is not None else peek.response_format
    return Call(
        body=body,
        model=peek.model,
        stream=bool(peek.stream),
        stream_options=raw_options if options is not None else None,
        wants_usage=options is not None and bool(options.include_usage),
        max_output=max_output,
        choices=answers * prompts,
        tools=tools,
        response_format=(form.type if form is not None else None) or "text",
        prompt=_prompt(more, body, operation, prompts, tools=tools, all_text=all_text),
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


def _peeked(body: bytes) -> tuple[CallPeek, OpenPeek | None, bool]:
    """What is read of ``body``; the same again, unless its prompt is nothing but a chat's texts; and whether it is a
    chat of texts, which may stand beside tool calls and the like.
    """
    try:
        chat = _peek_chat(body)
    except msgspec.ValidationError:
        chat = None
    if chat is not None and chat.messages is not None:
        return chat, None, True
    try:
        texts = _peek_texts(body)
    except msgspec.ValidationError:
        peek = _peek(body)
        return peek, peek, False  # a content in parts; other operations' messages may be anything
    return texts, texts, texts.messages is not None


def _may_hold_media(body: bytes) -> bool:
    """Whether tokens may hide in the prompt that the body's size does not bound, such as an image by its address.

    Looks for the keys ``image_url``, ``audio_url``, ``video_url``, ``input_image``, ``input_audio`` and ``source``.
    """
    return body.find(b'_url"') >= 0 or body.find(b'"input_') >= 0 or body.find(b'"source"') >= 0


def _prompt(
    peek: OpenPeek | None, body: bytes, operation: Operation, prompts: int, *, tools: bool, all_text: bool
) -> Prompt:
    """How the prompts' tokens follow from the body's size; ``peek`` is ``None`` where they are a chat's texts alone."""
    if peek is None:
        return Prompt(rendered=True) if tools else PLAIN
    if not operation.generates:
        return _pooled_prompt(body)
    rendered = (
        tools
        or peek.chat_template_kwargs is not ABSENT
        or peek.documents is not ABSENT
        or body.find(b'"tool_calls"') >= 0
    )
    unbounded = (
        # Whatever the caller's own template says, or what was said in answers that the endpoint keeps.
        (peek.chat_template is not ABSENT and bytes(peek.chat_template) not in _NOTHING)
        or (peek.previous_response_id is not ABSENT and bytes(peek.previous_response_id) not in _NOTHING)
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
