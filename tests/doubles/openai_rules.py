"""What a vLLM server decides about a request before any fault of the wire: routes, keys, models, refusals."""

from collections.abc import Collection, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from tests.doubles import openai_completions, openai_dialects
from tests.doubles.openai_behaviour import Behaviour, Received
from tests.doubles.openai_completions import Event
from tests.doubles.openai_reply import reply_to

STREAMED = {
    "/v1/chat/completions": (openai_completions.chat, openai_completions.chat_events),
    "/v1/completions": (openai_completions.completion, openai_completions.completion_events),
    "/v1/responses": (openai_dialects.response, openai_dialects.response_events),
    "/v1/messages": (openai_dialects.message, openai_dialects.message_events),
}
PLAIN = {
    "/v1/embeddings": openai_dialects.embeddings,
    "/v1/rerank": openai_dialects.rerank,
    "/tokenize": openai_dialects.tokenize,
}
NULLS_REFUSED: Mapping[str, Collection[str]] = {
    "/v1/chat/completions": {"add_generation_prompt", "echo", "ignore_eos", "messages", "min_tokens"},
    "/v1/completions": {"echo", "ignore_eos", "min_tokens"},
    "/v1/embeddings": {"encoding_format", "input"},
    "/v1/rerank": {"documents", "query", "top_n"},
    "/tokenize": {"add_special_tokens"},
}
"""Fields whose vLLM type has no null: sending one is a 400."""
GENERATING = frozenset({*STREAMED, *PLAIN})
"""Paths of the routes that do work."""


def decide(
    request: Received, behaviour: Behaviour, *, models: Collection[str], api_key: str | None
) -> tuple[int, Mapping[str, Any] | Iterator[Event]]:
    """Status, and the answer that a healthy server would give."""
    if api_key is not None and request.header("authorization") != f"Bearer {api_key}":
        return 401, {"error": "Unauthorized"}
    if request.path == "/v1/models" and request.method == "GET":
        listed = [{"id": name, "object": "model", "owned_by": "vllm"} for name in models]
        return 200, {"object": "list", "data": listed}
    if request.path not in GENERATING:
        return 404, {"detail": "Not Found"}
    if request.method != "POST":
        return 405, {"detail": "Method Not Allowed"}
    refusal = _refusal(request, models) or _prefill_refusal(request.json(), behaviour)
    return (200, _work(request, behaviour)) if refusal is None else refusal


def _work(request: Received, behaviour: Behaviour) -> Mapping[str, Any] | Iterator[Event]:
    body = request.json()
    if request.path in PLAIN:
        return PLAIN[request.path](body, behaviour)
    replies = [reply_to(body, behaviour)] * (body.get("n") or 1)
    whole, events = STREAMED[request.path]
    if body.get("stream"):
        return events(body, replies, behaviour)
    answer = whole(body, replies, behaviour)
    if behaviour.usage == "none":
        answer.pop("usage", None)
    return answer


def _refusal(request: Received, models: Collection[str]) -> tuple[int, dict[str, Any]] | None:
    """What vLLM says to a request that it does not take, or ``None``."""
    try:
        body = request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return 400, error_body(400, "Request body is not a JSON object")
    nulls = sorted(name for name in NULLS_REFUSED.get(request.path, ()) if name in body and body[name] is None)
    if nulls:
        return 400, error_body(400, f"Input should not be null: {', '.join(nulls)}", param=nulls[0])
    if body.get("stream_options") is not None and not body.get("stream"):
        return 400, error_body(400, "Stream options can only be defined when `stream=True`.")
    if body.get("model") not in models:
        return 404, error_body(404, f"The model `{body.get('model')}` does not exist.", param="model")
    return None


def _prefill_refusal(body: Mapping[str, Any], behaviour: Behaviour) -> tuple[int, dict[str, Any]] | None:
    """What is said to an unfinished assistant message that is not to be continued, or not so, or ``None``."""
    # vLLM's default for add_generation_prompt is true.
    if body.get("continue_final_message") and body.get("add_generation_prompt", True):
        both = "Cannot set both `continue_final_message` and `add_generation_prompt` to True."
        return 400, error_body(400, both)
    messages = body.get("messages") or [{}]
    if behaviour.refuses_prefill and isinstance(messages[-1], Mapping) and messages[-1].get("role") == "assistant":
        return 400, error_body(400, "This model does not support assistant message prefill.")
    return None


def error_body(status: int, message: str, *, param: str | None = None) -> dict[str, Any]:
    """An error in vLLM's form; ``code`` is the status."""
    words = HTTPStatus(status).phrase.title().replace(" ", "")
    return {"error": {"message": message, "type": f"{words}Error", "param": param, "code": status}}
