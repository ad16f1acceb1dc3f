"""One endpoint of a tier's that is asked, and the calls to it."""

from dataclasses import dataclass
from typing import Any

from deploy.fleet.answers import EndpointType

PROMPT = "Answer with one word: what is the capital of France?"
TOOL_PROMPT = "What is the weather in Paris now? Use the tool."
TOKENS_MAX = 64
TOOL_NAME = "get_weather"
TOOL = {
    "type": "function",
    "function": {
        "name": TOOL_NAME,
        "description": "Tells the weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SCHEMA = {
    "type": "object",
    "properties": {"capital": {"type": "string"}},
    "required": ["capital"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One endpoint.

    Attributes:
        key: Its name in the tier map: ``routing/0``.
        id: Runpod's.
        url: Its base URL: of one with a queue ``…/v2/<id>``, of a balanced one ``…/v1``.
        model: The name under which it is to serve.
        tools: Whether tools are enabled there.
    """

    key: str
    id: str
    type: EndpointType
    url: str
    model: str
    tools: bool = False

    @property
    def openai_url(self) -> str:
        """Where OpenAI's API begins."""
        return f"{self.url}/openai/v1" if self.type == "QUEUE" else self.url


def chat(model: str, **more: object) -> dict[str, Any]:
    """The body of a short chat completion; ``more`` are fields of it."""
    messages = [{"role": "user", "content": PROMPT}]
    return {"model": model, "messages": messages, "max_tokens": TOKENS_MAX, "temperature": 0, **more}


def streamed(model: str) -> dict[str, Any]:
    """The same as a stream that ends with its usage."""
    return chat(model, stream=True, stream_options={"include_usage": True})


def with_tool(model: str) -> dict[str, Any]:
    """A question that calls for a tool; the model chooses, as agents have it: a named tool needs no parser."""
    asked = {"messages": [{"role": "user", "content": TOOL_PROMPT}], "tools": [TOOL], "tool_choice": "auto"}
    return {**chat(model), **asked}


def with_schema(model: str) -> dict[str, Any]:
    """The same with a form that the answer has to have."""
    form = {"name": "answer", "schema": SCHEMA, "strict": True}
    return chat(model, response_format={"type": "json_schema", "json_schema": form})
