"""An OpenAI request as the generator reads it, and the ways in which vLLM refuses one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from deploy.emulator.engines.words import count_tokens
from deploy.emulator.model.config import EndpointConfig

LEGACY_MAX_TOKENS = 16
"""vLLM's default of ``/completions``."""
MESSAGE_TOKENS = 4
Shape = Literal["chat", "text"]


class PromptRefused(Exception):
    """The request is answered with an error."""

    def __init__(self, status: int, kind: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.param = param

    def body(self) -> bytes:
        """The words of vLLM for it."""
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.status}
        return json.dumps({"error": error}).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a request asks for."""

    shape: Shape
    model: str
    text: str
    prompt_tokens: int
    max_tokens: int | None
    stream: bool
    include_usage: bool
    schema: Mapping[str, Any] | None = None
    tool: Mapping[str, Any] | None = None
    """The function that is called, where the request has tools and wants one."""
    begun: str = ""
    """What an earlier answer to the same messages had said before it broke off."""


def read_prompt(shape: Shape, body: bytes, config: EndpointConfig) -> Prompt:
    """Read a request's body.

    Raises:
        PromptRefused: vLLM would refuse it.
    """
    try:
        asked = json.loads(body)
    except ValueError as error:
        raise PromptRefused(400, "BadRequestError", f"Invalid JSON: {error}") from error
    if not isinstance(asked, dict):
        raise PromptRefused(400, "BadRequestError", "Input should be a valid dictionary")
    model = asked.get("model") or config.served_model
    if model != config.served_model:
        raise PromptRefused(404, "NotFoundError", f"The model `{model}` does not exist.", "model")
    begun = _begun(asked)
    text, tokens = _text(shape, asked | {"messages": asked["messages"][:-1]} if begun else asked)
    wanted = asked.get("max_completion_tokens") or asked.get("max_tokens")
    if shape == "text" and wanted is None:
        wanted = LEGACY_MAX_TOKENS
    _check_context(tokens, wanted, config.max_model_len)
    options = asked.get("stream_options") or {}
    forced = config.env.get("ENABLE_FORCE_INCLUDE_USAGE", "").lower() == "true"
    return Prompt(
        shape=shape,
        model=str(model),
        text=text,
        prompt_tokens=tokens,
        max_tokens=wanted,
        stream=bool(asked.get("stream")),
        include_usage=bool(options.get("include_usage")) or forced,
        schema=_schema(asked),
        tool=_tool(asked, config),
        begun=begun,
    )


def _text(shape: Shape, asked: Mapping[str, Any]) -> tuple[str, int]:
    if shape == "text":
        given = asked.get("prompt")
        if given is None:
            raise PromptRefused(400, "BadRequestError", "Field required: prompt", "prompt")
        text = given if isinstance(given, str) else json.dumps(given)
        return text, max(1, count_tokens(text))
    messages = asked.get("messages")
    if not isinstance(messages, list) or not messages:
        raise PromptRefused(400, "BadRequestError", "Field required: messages", "messages")
    text = json.dumps(messages, sort_keys=True)
    words = sum(count_tokens(_content(message)) for message in messages)
    return text, words + MESSAGE_TOKENS * len(messages)


def _begun(asked: Mapping[str, Any]) -> str:
    messages = asked.get("messages")
    if not asked.get("continue_final_message") or not isinstance(messages, list) or not messages:
        return ""
    return _content(messages[-1]) if messages[-1].get("role") == "assistant" else ""


def _content(message: object) -> str:
    content = message.get("content") if isinstance(message, Mapping) else None
    return content if isinstance(content, str) else json.dumps(content or "")


def _check_context(tokens: int, wanted: object, most: int) -> None:
    output = wanted if isinstance(wanted, int) else 0
    if output < 0 or (wanted is not None and output == 0):
        raise PromptRefused(400, "BadRequestError", f"max_tokens must be at least 1, got {wanted}.", "max_tokens")
    if tokens + output > most:
        raise PromptRefused(
            400,
            "BadRequestError",
            f"This model's maximum context length is {most} tokens. However, you requested {output} output tokens and "
            f"your prompt contains {tokens} input tokens, for a total of {tokens + output} tokens.",
        )


def _schema(asked: Mapping[str, Any]) -> Mapping[str, Any] | None:
    wanted = asked.get("response_format") or {}
    schema: Mapping[str, Any] | None = None
    if wanted.get("type") == "json_schema":
        schema = (wanted.get("json_schema") or {}).get("schema") or {}
    elif wanted.get("type") == "json_object":
        schema = {"type": "object", "properties": {"answer": {"type": "string"}}}
    return schema


def _tool(asked: Mapping[str, Any], config: EndpointConfig) -> Mapping[str, Any] | None:
    """The function to call: a named one, any where one is required, and the first as long as none has answered."""
    tools: list[Mapping[str, Any]] = [tool.get("function", {}) for tool in asked.get("tools") or []]
    choice = asked.get("tool_choice", "auto")
    if not tools or choice == "none":
        return None
    if isinstance(choice, Mapping):
        name = choice.get("function", {}).get("name")
        return next((tool for tool in tools if tool.get("name") == name), tools[0])
    if choice == "required":
        return tools[0]
    if not config.chooses_tools:
        raise PromptRefused(
            400,
            "BadRequestError",
            '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
        )
    answered = any(message.get("role") == "tool" for message in asked.get("messages") or [])
    return None if answered else tools[0]
