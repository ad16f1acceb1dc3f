"""What LiteLLM's SDK answers → the bytes that an OpenAI-compatible server would have sent."""

from typing import Any, Final

import msgspec

_ODD: Final = frozenset({"citations", "moderation", "obfuscation", "provider_specific_fields"})
"""Fields of LiteLLM's own that are not OpenAI's."""
_VERBATIM: Final = frozenset({"logprobs", "parsed"})
_COUNTS: Final = frozenset({"completion_tokens", "prompt_tokens", "total_tokens"})
_DETAILS: Final = {
    "prompt_tokens_details": frozenset({"audio_tokens", "cached_tokens"}),
    "completion_tokens_details": frozenset(
        {"accepted_prediction_tokens", "audio_tokens", "reasoning_tokens", "rejected_prediction_tokens"}
    ),
}


def answer_bytes(told: dict[str, Any]) -> bytes:
    """A whole answer."""
    return msgspec.json.encode(_shaped(told))


def event_bytes(told: dict[str, Any]) -> bytes:
    """One event of a stream. Usage stands in an event of its own, as vLLM sends it."""
    shaped = _shaped(told)
    if shaped.get("usage") is not None and not any(_says_something(choice) for choice in shaped.get("choices", ())):
        shaped["choices"] = []
    return b"data: " + msgspec.json.encode(shaped) + b"\n\n"


def _shaped(told: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's form: without what is not set or not OpenAI's, but for the ``null``s that its clients look for."""
    shaped: dict[str, Any] = _without_nothing(told)
    for choice in shaped.get("choices", ()):
        choice.setdefault("finish_reason", None)
        if "message" in choice:
            choice["message"].setdefault("content", None)
        elif "delta" not in choice:
            choice.setdefault("text", "")
    if isinstance(shaped.get("usage"), dict):
        shaped["usage"] = _usage(shaped["usage"])
    return shaped


def _without_nothing(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {
            name: each if name in _VERBATIM else _without_nothing(each)
            for name, each in value.items()
            if each is not None and name not in _ODD
        }
    return [_without_nothing(each) for each in value] if isinstance(value, list) else value


def _usage(usage: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's counts alone: the SDK adds some of its own."""
    kept: dict[str, Any] = {name: usage[name] for name in usage if name in _COUNTS}
    for name, counts in _DETAILS.items():
        if isinstance(details := usage.get(name), dict):
            known = {count: details[count] for count in details if count in counts}
            if known:
                kept[name] = known
    return kept


def _says_something(choice: dict[str, Any]) -> bool:
    delta = choice.get("delta", {})
    return choice.get("finish_reason") is not None or bool(choice.get("text")) or any(delta.values())
