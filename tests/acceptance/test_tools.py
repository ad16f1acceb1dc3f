"""Tools and structured output through the official SDK."""

from typing import Any, Literal

import pytest
from openai import OpenAI
from pydantic import BaseModel

from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.acceptance

HELLO: Any = [{"role": "user", "content": "hello"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}


class Step(BaseModel):
    """A nested model: its schema uses references."""

    title: str
    minutes: int


class Verdict(BaseModel):
    """What the model is to answer."""

    label: Literal["deep", "quick"]
    score: float
    steps: list[Step]


EXPECTED = Verdict(label="deep", score=1.5, steps=[Step(title="text", minutes=1)])


def test_a_tool_is_called_and_its_result_answered(client: OpenAI) -> None:
    first = client.chat.completions.create(model="routing", messages=HELLO, tools=[WEATHER], tool_choice="auto")
    assert first.choices[0].finish_reason == "tool_calls"
    calls = first.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].type == "function"
    assert (calls[0].function.name, calls[0].function.arguments) == (
        "weather",
        '{"city": "text", "days": 1}',
    )
    result: Any = {"role": "tool", "tool_call_id": calls[0].id, "content": "22 degrees"}
    asked: Any = first.choices[0].message
    second = client.chat.completions.create(model="routing", messages=[*HELLO, asked, result], tools=[WEATHER])
    assert str(second.choices[0].message.content).endswith("22 degrees")


def test_a_tool_call_streamed_in_pieces_is_put_together_by_the_sdk(client: OpenAI) -> None:
    with client.chat.completions.stream(model="routing", messages=HELLO, tools=[WEATHER]) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
    assert kinds.count("tool_calls.function.arguments.delta") > 1
    calls = final.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].function.parsed_arguments == {"city": "text", "days": 1}


def test_structured_output_parses_into_the_model(client: OpenAI, routing_upstream: OpenAIUpstream) -> None:
    answer = client.chat.completions.parse(model="routing", messages=HELLO, response_format=Verdict)
    assert answer.choices[0].message.parsed == EXPECTED
    sent = routing_upstream.posts[0].json()["response_format"]
    assert sent["json_schema"]["strict"] is True


def test_structured_output_streamed_parses_into_the_model(client: OpenAI) -> None:
    with client.chat.completions.stream(model="routing", messages=HELLO, response_format=Verdict) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.parsed == EXPECTED
