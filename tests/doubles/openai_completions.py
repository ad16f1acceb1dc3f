"""Chat completions and completions as a vLLM server writes them: whole answers and stream events."""

import itertools
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.doubles.openai_behaviour import Behaviour
from tests.doubles.openai_reply import CACHED_TOKENS, Reply

CREATED = 1_767_225_600
"""A fixed time of creation: answers are comparable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One server-sent event. Text is sent as it is, all else as JSON; ``tokens`` is how many it carries."""

    data: Mapping[str, Any] | str
    name: str = ""
    tokens: int = 0


def usage_of(replies: Sequence[Reply], behaviour: Behaviour, *, tokens: int | None = None) -> dict[str, Any]:
    """Usage as vLLM counts it; ``tokens`` is how many were generated so far, by default all."""
    prompt = replies[0].prompt_tokens
    generated = sum(len(reply.pieces) for reply in replies) if tokens is None else tokens
    if behaviour.usage == "zero":
        prompt = generated = 0
    return {
        "prompt_tokens": prompt,
        "total_tokens": prompt + generated,
        "completion_tokens": generated,
        "prompt_tokens_details": {"cached_tokens": min(CACHED_TOKENS, prompt)},
    }


def chat(request: Mapping[str, Any], replies: Sequence[Reply], behaviour: Behaviour) -> dict[str, Any]:
    """A whole ``chat.completion``."""
    choices = [
        {
            "index": index,
            "message": _message(reply),
            "logprobs": None,
            "finish_reason": reply.finish_reason,
            "stop_reason": None,
        }
        for index, reply in enumerate(replies)
    ]
    return _whole("chatcmpl", "chat.completion", request, choices, usage_of(replies, behaviour))


def completion(request: Mapping[str, Any], replies: Sequence[Reply], behaviour: Behaviour) -> dict[str, Any]:
    """A whole ``text_completion``."""
    choices = [
        {
            "index": index,
            "text": reply.text,
            "logprobs": None,
            "finish_reason": reply.finish_reason,
            "stop_reason": None,
        }
        for index, reply in enumerate(replies)
    ]
    return _whole("cmpl", "text_completion", request, choices, usage_of(replies, behaviour))


def chat_events(request: Mapping[str, Any], replies: Sequence[Reply], behaviour: Behaviour) -> Iterator[Event]:
    """A stream of ``chat.completion.chunk``, closed by the usage chunk where it was asked for."""
    chunk = _chunks("chatcmpl", "chat.completion.chunk", request)
    opening = {"role": "assistant", "content": None if behaviour.first_content_null else ""}
    yield from _counted(_chat_choices(replies, opening), chunk, replies, behaviour)
    yield from _closing(request, chunk, replies, behaviour)


def completion_events(request: Mapping[str, Any], replies: Sequence[Reply], behaviour: Behaviour) -> Iterator[Event]:
    """A stream of ``text_completion``, closed by the usage chunk where it was asked for."""
    chunk = _chunks("cmpl", "text_completion", request)
    yield from _counted(_completion_choices(replies), chunk, replies, behaviour)
    yield from _closing(request, chunk, replies, behaviour)


def _message(reply: Reply) -> dict[str, Any]:
    if reply.tool is None:
        return {"role": "assistant", "content": reply.text, "tool_calls": []}
    call = {
        "id": f"chatcmpl-tool-{uuid.uuid4().hex}",
        "type": "function",
        "function": {"name": reply.tool, "arguments": reply.text},
    }
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _whole(
    prefix: str, kind: str, request: Mapping[str, Any], choices: list[dict[str, Any]], usage: dict[str, Any]
) -> dict[str, Any]:
    return {
        "id": f"{prefix}-{uuid.uuid4().hex}",
        "object": kind,
        "created": CREATED,
        "model": request["model"],
        "choices": choices,
        "usage": usage,
        "prompt_logprobs": None,
        "kv_transfer_params": None,
    }


def _chunks(prefix: str, kind: str, request: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": f"{prefix}-{uuid.uuid4().hex}",
        "object": kind,
        "created": CREATED,
        "model": request["model"],
    }


def _chat_choices(replies: Sequence[Reply], opening: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], int]]:
    """Each chunk's choice with the tokens that it carries; several choices take turns."""
    for index in range(len(replies)):
        yield _choice(index, dict(opening)), 0
    for index, reply in enumerate(replies):
        if reply.tool is not None:
            function = {"name": reply.tool, "arguments": ""}
            call = {"index": 0, "id": f"chatcmpl-tool-{index}", "type": "function", "function": function}
            yield _choice(index, {"tool_calls": [call]}), 0
    for index, piece in _in_turn(replies):
        if replies[index].tool is None:
            yield _choice(index, {"content": piece}), 1
        else:
            yield _choice(index, {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}), 1
    for index, reply in enumerate(replies):
        yield (
            {**_choice(index, {"content": ""}), "finish_reason": reply.finish_reason, "stop_reason": None},
            0,
        )


def _completion_choices(replies: Sequence[Reply]) -> Iterator[tuple[dict[str, Any], int]]:
    plain = {"logprobs": None, "finish_reason": None, "stop_reason": None}
    for index, piece in _in_turn(replies):
        yield {"index": index, "text": piece, **plain}, 1
    for index, reply in enumerate(replies):
        yield {"index": index, "text": "", **plain, "finish_reason": reply.finish_reason}, 0


def _choice(index: int, delta: dict[str, Any]) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}


def _in_turn(replies: Sequence[Reply]) -> Iterator[tuple[int, str]]:
    for pieces in itertools.zip_longest(*(reply.pieces for reply in replies)):
        for index, piece in enumerate(pieces):
            if piece is not None:
                yield index, piece


def _counted(
    choices: Iterator[tuple[dict[str, Any], int]],
    chunk: Mapping[str, Any],
    replies: Sequence[Reply],
    behaviour: Behaviour,
) -> Iterator[Event]:
    """Wrap choices into chunks, with running usage in each where that is the behaviour."""
    generated = 0
    for choice, tokens in choices:
        generated += tokens
        data = {**chunk, "choices": [choice]}
        if behaviour.usage == "continuous":
            data["usage"] = usage_of(replies, behaviour, tokens=generated)
        yield Event(data=data, tokens=tokens)


def _closing(
    request: Mapping[str, Any], chunk: Mapping[str, Any], replies: Sequence[Reply], behaviour: Behaviour
) -> Iterator[Event]:
    asked = (request.get("stream_options") or {}).get("include_usage")
    if asked and behaviour.usage != "none":
        yield Event(data={**chunk, "choices": [], "usage": usage_of(replies, behaviour)})
    if behaviour.done:
        yield Event(data="[DONE]")
