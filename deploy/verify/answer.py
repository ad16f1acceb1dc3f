"""What an answer holds, and what is wrong with it: decided from its text."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from deploy.verify.finding import CheckFailed

EXCERPT_MAX = 300
DEFAULT_MODELS = frozenset({"Qwen/Qwen3-0.6B", "facebook/opt-125m"})
"""What vLLM serves where nobody names a model."""
_BROKEN = "the worker ended in the middle of an answer: see its log"
_UNKNOWN_MODEL = re.compile(r"model .{0,200}does not exist", re.IGNORECASE)
_ENGINE_STATUS = re.compile(r"vLLM returned HTTP (\d{3})")
_UNAUTHORIZED = (401, 403)
_TOO_MANY = 429


def excerpt(text: str) -> str:
    """So much of an answer that one sees what it is, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= EXCERPT_MAX else f"{line[:EXCERPT_MAX]}…"


def failure(status: int, text: str, *, model: str) -> CheckFailed:
    """Why an answer that is none is none."""
    seen = [f"HTTP {status}: {excerpt(text)}" if status else excerpt(text)]
    if status in _UNAUTHORIZED:
        return CheckFailed("wrong_key", evidence=seen, remedy="the key is not the account's, or may not do this")
    if _UNKNOWN_MODEL.search(text):
        return wrong_model(model, (), seen)
    if status == _TOO_MANY:
        return CheckFailed("too_many", evidence=seen, remedy="it is called too often: try again in a minute")
    if "auto-tool-choice" in text or "tool-call-parser" in text:
        return CheckFailed("tools_off", evidence=seen, remedy="give the deployment its tool parser, and apply")
    if text.startswith("TIMED_OUT") or "job timed out" in text:
        remedy = (
            "Runpod also says so where the worker died at its work: see its log; else raise the deployment's timeout"
        )
        return CheckFailed("job_timed_out", evidence=seen, remedy=remedy)
    cause = "engine_error" if _ENGINE_STATUS.search(text) else "bad_answer"
    return CheckFailed(cause, evidence=seen, remedy="see the worker's log: the engine says there what it stumbles over")


def wrong_model(model: str, served: Sequence[str], evidence: Iterable[str] = ()) -> CheckFailed:
    """It serves other names than the tier's."""
    shown = [*evidence, f"asked for: {model}; served: {', '.join(served) or 'not told'}"]
    remedy = (
        "the served name is not the tier's `model`: `tiergate-deploy apply` sends it, unless the endpoint is not ours"
    )
    if DEFAULT_MODELS & set(served):
        remedy = "the worker was given no model and serves vLLM's own default: MODEL_NAME is missing there; apply"
    return CheckFailed("wrong_model", evidence=shown, remedy=remedy)


def completion(told: object, *, model: str) -> str:
    """The text of a whole answer.

    Raises:
        CheckFailed: It is no chat completion, another model's, or empty.
    """
    if isinstance(told, list):
        told = told[0] if told else None
    if not isinstance(told, dict) or not told.get("choices"):
        raise failure(0, json.dumps(told), model=model)
    if told.get("model") != model:
        raise wrong_model(model, [str(told.get("model"))])
    message = told["choices"][0].get("message") or {}
    return str(message.get("content") or message.get("reasoning_content") or "")


def usage_of(lines: Iterable[str], *, model: str) -> dict[str, Any]:
    """The usage at the end of a stream.

    Raises:
        CheckFailed: The stream broke off, told an error, or no usage.
    """
    usage: dict[str, Any] = {}
    texts, ended = 0, False
    for line in lines:
        data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
        if data == "[DONE]":
            ended = True
        elif data:
            event = _event(data, model)
            usage = event.get("usage") or usage
            texts += bool(event.get("choices"))
    if not ended or not texts:
        raise CheckFailed("stream_broken", evidence=[f"{texts} events, ended by [DONE]: {ended}"], remedy=_BROKEN)
    if not usage.get("completion_tokens"):
        remedy = "the worker tells no usage, so costs are estimates: send ENABLE_FORCE_INCLUDE_USAGE=true, and apply"
        raise CheckFailed("no_usage", evidence=[f"{texts} events without usage"], remedy=remedy)
    return usage


def tool_call(told: object, *, model: str, tool: str) -> str:
    """What an answer calls, for people; a model may also choose to answer by itself.

    Raises:
        CheckFailed: It calls the tool in words that nobody has understood as a call.
    """
    text = completion(told, model=model)
    answer = told[0] if isinstance(told, list) else told
    assert isinstance(answer, dict)  # noqa: S101 - a completion is
    calls = answer["choices"][0]["message"].get("tool_calls") or []
    if not calls and tool not in text:
        return "took the tool, and answered without it"
    try:
        called = calls[0]["function"]
        json.loads(called["arguments"])
        return f"called {called['name']}"
    except (IndexError, KeyError, TypeError, ValueError):
        remedy = (
            "the tool parser does not fit the model (hermes for Qwen, llama3_json for Llama 3): change it, and apply"
        )
        raise CheckFailed("no_tool_call", evidence=[excerpt(json.dumps(answer))], remedy=remedy) from None


def structured(text: str) -> str:
    """An answer in the asked form. Raises ``CheckFailed`` where it has another one."""
    try:
        capital = json.loads(text)["capital"]
    except (ValueError, KeyError, TypeError):
        remedy = "the worker does not hold answers to a schema: see its log for the backend of structured outputs"
        raise CheckFailed("no_schema", evidence=[excerpt(text)], remedy=remedy) from None
    return str(capital)


def _event(data: str, model: str) -> dict[str, Any]:
    try:
        event = json.loads(data)
    except ValueError:
        raise CheckFailed("stream_broken", evidence=[excerpt(data)], remedy=_BROKEN) from None
    if not isinstance(event, dict) or "error" in event:
        raise failure(0, data, model=model)
    return event
