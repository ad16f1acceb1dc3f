"""What an answer holds, and what is wrong with it."""

import json
from typing import Any

import pytest

from deploy.verify.answer import EXCERPT_MAX, completion, excerpt, failure, structured, tool_call, usage_of
from deploy.verify.finding import CheckFailed


def answer(content: str | None = "Paris", model: str = "m", **message: object) -> dict[str, Any]:
    return {"model": model, "choices": [{"message": {"content": content, **message}}]}


def stream(*events: object, done: bool = True) -> list[str]:
    lines = [f"data: {event if isinstance(event, str) else json.dumps(event)}" for event in events]
    return [*lines, *(["data: [DONE]"] if done else [])]


PIECE = {"choices": [{"delta": {"content": "Pa"}}]}
USAGE = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}


def test_a_whole_answer_is_read_from_a_body_and_from_a_jobs_list() -> None:
    assert completion(answer(), model="m") == "Paris"
    assert completion([answer(None, reasoning_content="hm")], model="m") == "hm"


@pytest.mark.parametrize(
    ("told", "cause", "seen"),
    [
        ([], "bad_answer", "null"),
        ({"error": "x"}, "bad_answer", "error"),
        (answer(model="facebook/opt-125m"), "wrong_model", "served: facebook/opt-125m"),
    ],
)
def test_what_is_no_answer_of_the_tiers_model_is_found(told: object, cause: str, seen: str) -> None:
    with pytest.raises(CheckFailed) as caught:
        completion(told, model="m")
    assert caught.value.cause == cause
    assert seen in caught.value.evidence[-1]


@pytest.mark.parametrize(
    ("status", "text", "cause"),
    [
        (401, "", "wrong_key"),
        (429, "", "too_many"),
        (404, "The model `m` does not exist.", "wrong_model"),
        (400, '"auto" tool choice requires --enable-auto-tool-choice', "tools_off"),
        (0, "FAILED: job timed out after 1 retries", "job_timed_out"),
        (0, "FAILED: {'error': {'message': 'vLLM returned HTTP 500: …'}}", "engine_error"),
        (502, "<html>Bad gateway</html>", "bad_answer"),
    ],
)
def test_every_refusal_has_a_cause(status: int, text: str, cause: str) -> None:
    assert failure(status, text, model="m").cause == cause


def test_a_whole_stream_tells_its_usage() -> None:
    assert usage_of([": ping", *stream(PIECE, USAGE)], model="m")["completion_tokens"] == 2


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        (stream(PIECE, USAGE, done=False), "stream_broken"),
        (stream(USAGE), "stream_broken"),
        (stream(PIECE, '{"choices": [{"del'), "stream_broken"),
        (stream(PIECE), "no_usage"),
        (stream(PIECE, {"error": {"message": "vLLM returned HTTP 500"}}), "engine_error"),
    ],
)
def test_a_stream_that_is_not_whole_is_found(lines: list[str], cause: str) -> None:
    with pytest.raises(CheckFailed) as caught:
        usage_of(lines, model="m")
    assert caught.value.cause == cause


def test_a_call_of_a_tool_is_read() -> None:
    called = answer(None, tool_calls=[{"function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}])
    assert tool_call(called, model="m", tool="get_weather") == "called get_weather"
    assert "without it" in tool_call([answer("It is sunny.")], model="m", tool="get_weather")


@pytest.mark.parametrize(
    "told",
    [
        answer('<tool_call>{"name": "get_weather"}</tool_call>'),
        answer(None, tool_calls=[{"function": {"name": "get_weather", "arguments": "city: Paris"}}]),
    ],
)
def test_a_call_that_nobody_understands_is_the_parsers_fault(told: dict[str, Any]) -> None:
    with pytest.raises(CheckFailed, match="no_tool_call"):
        tool_call(told, model="m", tool="get_weather")


def test_an_answer_has_the_asked_form_or_has_not() -> None:
    assert structured('{"capital": "Paris"}') == "Paris"
    for text in ("Paris", "[1]", "{}"):
        with pytest.raises(CheckFailed, match="no_schema"):
            structured(text)


def test_an_excerpt_is_one_short_line() -> None:
    assert excerpt("a\n  b") == "a b"
    assert len(excerpt("x" * 1000)) == EXCERPT_MAX + 1
