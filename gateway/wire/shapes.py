"""What is read of JSON, as shapes that msgspec decodes; all else of a value is only proven to be JSON.

They stand apart from the code that uses them: that is compiled, and msgspec reads annotations at run time, which a
compiled module no longer has.
"""

from typing import Final

import msgspec

ABSENT: Final = msgspec.Raw()
"""What a field holds that is not there."""


class Details(msgspec.Struct):
    """What ``*_tokens_details`` holds."""

    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class ReportedUsage(msgspec.Struct):
    """The ``usage`` object of any dialect; a field that the dialect lacks is ``None``."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None
    input_tokens_details: Details | None = None
    output_tokens_details: Details | None = None


class StreamOptions(msgspec.Struct):
    """A request's ``stream_options``."""

    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None


class FormatOption(msgspec.Struct):
    """A request's ``response_format``, or ``format`` of ``text``."""

    type: str | None = None


class TextOptions(msgspec.Struct):
    """``text`` of ``/v1/responses``."""

    format: FormatOption | None = None


class TextMessage(msgspec.Struct):
    """One message of a chat whose content is a text, or nothing, as beside tool calls."""

    content: str | None = None


class PlainMessage(TextMessage):
    """One that calls no tool."""

    tool_calls: None = None


class CallPeek(msgspec.Struct):
    """What the gateway reads of a request's body, all of it at once: ``gateway.wire.call`` takes the fields in their
    order.
    """

    model: str | None = None
    stream: bool | None = None
    stream_options: msgspec.Raw = ABSENT
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    max_output_tokens: int | None = None
    n: int | None = None
    best_of: int | None = None
    prompt: msgspec.Raw = ABSENT
    tools: list[msgspec.Raw] | None = None
    response_format: FormatOption | None = None
    text: msgspec.Raw = ABSENT
    messages: msgspec.Raw = ABSENT
    documents: msgspec.Raw = ABSENT
    chat_template: msgspec.Raw = ABSENT
    chat_template_kwargs: msgspec.Raw = ABSENT
    previous_response_id: msgspec.Raw = ABSENT


class PoolingPeek(msgspec.Struct):
    """What the prompts of an embedding, a score or the like are made of: a text, or a list of them."""

    input: msgspec.Raw = ABSENT
    texts: msgspec.Raw = ABSENT
    documents: msgspec.Raw = ABSENT
    queries: msgspec.Raw = ABSENT
    items: msgspec.Raw = ABSENT
    text_1: msgspec.Raw = ABSENT
    text_2: msgspec.Raw = ABSENT
    data_1: msgspec.Raw = ABSENT
    data_2: msgspec.Raw = ABSENT


class Delta(msgspec.Struct):
    """What a chunk adds to a chat's answer."""

    content: msgspec.Raw = ABSENT
    reasoning_content: msgspec.Raw = ABSENT
    reasoning: msgspec.Raw = ABSENT
    refusal: msgspec.Raw = ABSENT
    tool_calls: msgspec.Raw = ABSENT
    function_call: msgspec.Raw = ABSENT


class Choice(msgspec.Struct):
    """One choice of a chunk."""

    delta: Delta | None = None
    text: msgspec.Raw = ABSENT
    finish_reason: str | None = None


class Choices(msgspec.Struct):
    """A chunk's choices."""

    choices: list[Choice] | None = None


class Inner(msgspec.Struct):
    """An object with ``usage`` inside an event."""

    usage: ReportedUsage | None = None


class Event(msgspec.Struct):
    """One event, decoded no further than accounting needs; decoding it also proves that it is JSON."""

    type: msgspec.Raw = ABSENT
    choices: msgspec.Raw = ABSENT
    usage: ReportedUsage | None = None
    error: msgspec.Raw = ABSENT
    response: Inner | None = None
    message: msgspec.Raw = ABSENT


class OpenChoice(msgspec.Struct):
    """A choice of which no more is read than that it goes on: any finish reason is an error."""

    finish_reason: None = None


class ContentEvent(msgspec.Struct):
    """As ``Event``, of a dialect with choices that are as they should be."""

    choices: list[OpenChoice] = []
    usage: ReportedUsage | None = None
    error: msgspec.Raw = ABSENT
