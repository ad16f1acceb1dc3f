"""A request's body, peeked at: only what routing, admission and accounting read. The bytes stay as they came."""

import re
from dataclasses import dataclass

import msgspec

from gateway.errors import InvalidRequest
from gateway.wire.operations import Operation

_MEDIA = (b'"image_url"', b'"input_image"', b'"input_audio"', b'"audio_url"', b'"video_url"', b'"source"')
"""Keys behind which tokens hide that the body's size does not bound (an image by its address)."""

MODEL_CHARACTERS_MAX = 256
"""The longest ``model``: it is repeated in errors, records and the log."""
_FIELD = re.compile(r" - at `\$\.?([^`]*)`$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What one request asks for.

    ``max_output`` is the caller's bound on tokens per answer, ``None`` where it set none; ``choices`` is how many
    answers it wants in all. ``media`` says that the prompt may hold images or sound, whose tokens its size does not
    bound.
    """

    body: bytes
    model: str
    stream: bool
    stream_options: bytes | None
    wants_usage: bool
    max_output: int | None
    choices: int
    tools: bool
    response_format: str
    media: bool


_ABSENT = msgspec.Raw()
_NOTHING = (b"", b"null")


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None


class _Format(msgspec.Struct):
    type: str | None = None


class _Text(msgspec.Struct):
    format: _Format | None = None


class _Peek(msgspec.Struct):
    model: str | None = None
    stream: bool | None = None
    stream_options: msgspec.Raw = _ABSENT
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    max_output_tokens: int | None = None
    n: int | None = None
    best_of: int | None = None
    prompt: msgspec.Raw = _ABSENT
    tools: list[msgspec.Raw] | None = None
    response_format: _Format | None = None
    text: msgspec.Raw = _ABSENT


_peek = msgspec.json.Decoder(_Peek).decode
_stream_options = msgspec.json.Decoder(_StreamOptions).decode
_text = msgspec.json.Decoder(_Text).decode
_prompts = msgspec.json.Decoder(list[msgspec.Raw]).decode


def read_call(body: bytes, operation: Operation) -> Call:
    """Peek into ``body``.

    Raises:
        InvalidRequest: It is not a JSON object, lacks ``model``, or a field that the gateway reads has a wrong type.
    """
    try:
        peek = _peek(body)
        raw_options = bytes(peek.stream_options)
        options = _stream_options(raw_options) if raw_options not in _NOTHING else None
        prompts = _count_prompts(bytes(peek.prompt)) if operation.generates else 1
        raw_text = bytes(peek.text)
        text = _text(raw_text) if raw_text[:1] == b"{" else None
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
    bounds = (peek.max_tokens, peek.max_completion_tokens, peek.max_output_tokens)
    answers = max(peek.n or 1, peek.best_of or 1)
    if min(answers, peek.n or 1, *(bound or 0 for bound in bounds)) < 0:
        raise InvalidRequest("The body asks for a negative number of tokens or answers.")
    form = text.format if text is not None else peek.response_format
    return Call(
        body=body,
        model=peek.model,
        stream=bool(peek.stream),
        stream_options=raw_options if options is not None else None,
        wants_usage=options is not None and bool(options.include_usage),
        max_output=max((bound for bound in bounds if bound is not None), default=None),
        choices=answers * prompts,
        tools=bool(peek.tools),
        response_format=(form.type if form is not None else None) or "text",
        media=any(key in body for key in _MEDIA),
    )


def _count_prompts(prompt: bytes) -> int:
    """How many prompts the ``prompt`` of a completion holds: a list of texts, or of lists of token ids."""
    if prompt[:1] != b"[":
        return 1
    items = _prompts(prompt)
    return len(items) if items and bytes(items[0])[:1] in {b'"', b"["} else 1
