"""The other dialects of a vLLM server: responses, messages, embeddings, rerank, tokenize."""

import base64
import hashlib
import struct
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.doubles.openai_behaviour import Behaviour
from tests.doubles.openai_completions import CREATED, Event, usage_of
from tests.doubles.openai_reply import CACHED_TOKENS, Reply, last_words, prompt_tokens

DIMENSIONS = 8
CONTEXT = 8192


def response(request: Mapping[str, Any], replies: Sequence[Reply], behaviour: Behaviour) -> dict[str, Any]:
    """A whole ``response``."""
    reply = replies[0]
    cut = reply.finish_reason == "length"
    return {
        "id": f"resp_{uuid.uuid4().hex}",
        "object": "response",
        "created_at": CREATED,
        "model": request["model"],
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": [_output(reply.text, "completed")],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None if behaviour.usage == "none" else _response_usage(replies, behaviour),
    }


def response_events(request: Mapping[str, Any], replies: Sequence[Reply], behaviour: Behaviour) -> Iterator[Event]:
    """A stream of ``response.*`` events; the usage is in the last one."""
    whole = response(request, replies, behaviour)
    started = {**whole, "status": "in_progress", "output": [], "usage": None}
    place = {"item_id": whole["output"][0]["id"], "output_index": 0, "content_index": 0}
    steps: list[tuple[str, dict[str, Any], int]] = [
        ("response.created", {"response": started}, 0),
        ("response.output_item.added", {"output_index": 0, "item": _output("", "in_progress")}, 0),
    ]
    empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    full = {**empty, "text": replies[0].text}
    steps.append(("response.content_part.added", {**place, "part": empty}, 0))
    steps += [
        ("response.output_text.delta", {**place, "delta": piece, "logprobs": []}, 1) for piece in replies[0].pieces
    ]
    steps.append(("response.output_text.done", {**place, "text": replies[0].text, "logprobs": []}, 0))
    steps.append(("response.content_part.done", {**place, "part": full}, 0))
    steps.append(("response.output_item.done", {"output_index": 0, "item": whole["output"][0]}, 0))
    if behaviour.done:
        steps.append(("response.completed", {"response": whole}, 0))
    for number, (name, data, tokens) in enumerate(steps):
        yield Event(name=name, data={"type": name, "sequence_number": number, **data}, tokens=tokens)


def message(request: Mapping[str, Any], replies: Sequence[Reply], behaviour: Behaviour) -> dict[str, Any]:
    """A whole answer of ``/v1/messages``."""
    whole = {
        "id": f"msg_{uuid.uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": [{"type": "text", "text": replies[0].text}],
        "stop_reason": "max_tokens" if replies[0].finish_reason == "length" else "end_turn",
        "stop_sequence": None,
    }
    return whole if behaviour.usage == "none" else {**whole, "usage": _message_usage(replies, behaviour)}


def message_events(request: Mapping[str, Any], replies: Sequence[Reply], behaviour: Behaviour) -> Iterator[Event]:
    """A stream of ``/v1/messages``; the closing ``message_delta`` says the output tokens."""
    whole = message(request, replies, behaviour)
    usage = _message_usage(replies, behaviour)
    with_usage = behaviour.usage != "none"
    opening = {**whole, "content": [], "stop_reason": None}
    if with_usage:
        opening["usage"] = {**usage, "output_tokens": 0}
    yield _named("message_start", {"message": opening})
    yield _named("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})
    for piece in replies[0].pieces:
        delta = {"type": "text_delta", "text": piece}
        yield _named("content_block_delta", {"index": 0, "delta": delta}, tokens=1)
    yield _named("content_block_stop", {"index": 0})
    ending = {"delta": {"stop_reason": whole["stop_reason"], "stop_sequence": None}}
    yield _named("message_delta", {**ending, "usage": usage} if with_usage else ending)
    if behaviour.done:
        yield _named("message_stop", {})


def embeddings(request: Mapping[str, Any], behaviour: Behaviour) -> dict[str, Any]:
    """Vectors that depend on the text alone, as floats or as base64 of little-endian floats."""
    given = request["input"]
    texts = given if isinstance(given, list) else [given]
    data = []
    for index, text in enumerate(texts):
        vector = [byte / 256 for byte in hashlib.sha256(str(text).encode()).digest()[:DIMENSIONS]]
        packed = base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *vector)).decode()
        as_text = request.get("encoding_format") == "base64"
        data.append({"index": index, "object": "embedding", "embedding": packed if as_text else vector})
    whole = {
        "id": f"embd-{uuid.uuid4().hex}",
        "object": "list",
        "created": CREATED,
        "model": request["model"],
        "data": data,
    }
    return whole if behaviour.usage == "none" else {**whole, "usage": _input_usage(request, behaviour)}


def rerank(request: Mapping[str, Any], behaviour: Behaviour) -> dict[str, Any]:
    """Documents in the order of how many words they share with the query."""
    query = set(str(request["query"]).lower().split())
    scores = [len(query & set(str(text).lower().split())) / max(1, len(query)) for text in request["documents"]]
    order = sorted(range(len(scores)), key=lambda index: -scores[index])
    results = [
        {"index": at, "document": {"text": request["documents"][at]}, "relevance_score": scores[at]}
        for at in order[: request.get("top_n") or len(order)]
    ]
    whole = {"id": f"rerank-{uuid.uuid4().hex}", "model": request["model"], "results": results}
    if behaviour.usage == "none":
        return whole
    usage = _input_usage(request, behaviour)
    return {**whole, "usage": {name: usage[name] for name in ("prompt_tokens", "total_tokens")}}


def tokenize(request: Mapping[str, Any], behaviour: Behaviour) -> dict[str, Any]:
    """A token id for each word; vLLM reports no usage here."""
    del behaviour
    count = len(last_words(request).split())
    return {"count": count, "max_model_len": CONTEXT, "tokens": list(range(count)), "token_strs": None}


def _named(name: str, data: Mapping[str, Any], *, tokens: int = 0) -> Event:
    return Event(name=name, data={"type": name, **data}, tokens=tokens)


def _output(text: str, status: str) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "output_text", "text": text, "annotations": [], "logprobs": None}
    content = [part] if text else []
    return {"id": "msg_0", "type": "message", "role": "assistant", "status": status, "content": content}


def _response_usage(replies: Sequence[Reply], behaviour: Behaviour) -> dict[str, Any]:
    usage = usage_of(replies[:1], behaviour)
    return {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": usage["prompt_tokens_details"]["cached_tokens"]},
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage["total_tokens"],
    }


def _message_usage(replies: Sequence[Reply], behaviour: Behaviour) -> dict[str, Any]:
    usage = usage_of(replies[:1], behaviour)
    return {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]}


def _input_usage(request: Mapping[str, Any], behaviour: Behaviour) -> dict[str, Any]:
    count = prompt_tokens(request) if behaviour.prompt_tokens is None else behaviour.prompt_tokens
    count = 0 if behaviour.usage == "zero" else count
    return {
        "prompt_tokens": count,
        "total_tokens": count,
        "completion_tokens": 0,
        "prompt_tokens_details": {"cached_tokens": min(CACHED_TOKENS, count)},
    }
