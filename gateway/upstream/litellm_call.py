"""A request's body → what LiteLLM's SDK is called with."""

from typing import Any, Final

_COMMON: Final = frozenset({
    "frequency_penalty", "logit_bias", "logprobs", "max_tokens", "n", "presence_penalty", "seed", "stop", "stream",
    "temperature", "top_p", "user",
})  # fmt: skip
_CHAT: Final = _COMMON | {
    "audio", "function_call", "functions", "max_completion_tokens", "messages", "modalities", "parallel_tool_calls",
    "prediction", "prompt_cache_key", "reasoning_effort", "response_format", "safety_identifier", "service_tier",
    "store", "thinking", "tool_choice", "tools", "top_logprobs", "verbosity", "web_search_options",
}  # fmt: skip
_COMPLETION: Final = _COMMON | {"best_of", "echo", "prompt", "suffix"}
_EMBEDDING: Final = frozenset({"dimensions", "encoding_format", "input", "user"})
FIELDS: Final = {
    b"/v1/chat/completions": _CHAT,
    b"/v1/completions": _COMPLETION,
    b"/v1/embeddings": _EMBEDDING,
}
"""Operation → the fields of its body that are the SDK's arguments.

A list, since the SDK takes its own settings the same way: a caller's ``api_base`` would send the provider's key
anywhere, its ``mock_response`` would be served as an answer.
"""


def arguments(path: bytes, body: dict[str, Any], *, extra: bool) -> dict[str, Any]:
    """The arguments for ``body``, less the model's name and how it is reached.

    Fields that are not on the list go along inside the request (``extra_body``) where ``extra`` is so, which only
    providers of OpenAI's own form take; other providers never see them.
    """
    known = FIELDS[path]
    made = {name: value for name, value in body.items() if name in known and value is not None}
    if made.get("stream"):
        made["stream_options"] = {"include_usage": True}
    rest = {name: value for name, value in body.items() if name not in known and name not in _ELSEWHERE}
    if extra and rest:
        made["extra_body"] = rest
    return made


_ELSEWHERE: Final = frozenset({"model", "stream_options"})
