"""OpenAI requests, and how vLLM refuses them."""

import json
from typing import Any

import pytest

from deploy.emulator.engines.prompt import Prompt, PromptRefused, Shape, read_prompt
from tests.deploy.emulator.worlds import config

ASKED = {"model": "router", "messages": [{"role": "user", "content": "one two three four"}]}
TOOLS = [{"type": "function", "function": {"name": name}} for name in ("first", "second")]
TOOL_ENV = {"MODEL_NAME": "router", "ENABLE_AUTO_TOOL_CHOICE": "true", "TOOL_CALL_PARSER": "hermes"}


def read(asked: object, shape: Shape = "chat", env: dict[str, str] | None = None) -> Prompt:
    return read_prompt(shape, json.dumps(asked).encode(), config() if env is None else config(env=env))


def refused(asked: object, shape: Shape = "chat", env: dict[str, str] | None = None) -> dict[str, Any]:
    with pytest.raises(PromptRefused) as caught:
        read(asked, shape, env)
    error: dict[str, Any] = json.loads(caught.value.body())["error"]
    assert error["code"] == caught.value.status
    return error


def test_a_prompt_is_counted_and_its_options_are_read() -> None:
    prompt = read(ASKED | {"stream": True, "stream_options": {"include_usage": True}, "max_completion_tokens": 7})
    assert (prompt.stream, prompt.include_usage, prompt.max_tokens, prompt.prompt_tokens) == (True, True, 7, 9)


def test_a_missing_model_is_filled_in_and_another_one_is_not_found() -> None:
    assert read({"messages": ASKED["messages"]}).model == "router"
    error = refused(ASKED | {"model": "Router"})
    assert (error["code"], error["type"], error["message"]) == (
        404,
        "NotFoundError",
        "The model `Router` does not exist.",
    )


def test_a_prompt_over_the_context_is_refused_in_vllms_words() -> None:
    error = refused(ASKED | {"max_tokens": 100}, env={"MODEL_NAME": "router", "MAX_MODEL_LEN": "64"})
    assert error["message"].startswith("This model's maximum context length is 64 tokens. However, you requested 100")


@pytest.mark.parametrize(
    "asked", [[1], {"model": "router"}, {"model": "router", "messages": []}, ASKED | {"max_tokens": -1}]
)
def test_what_is_no_request_is_a_bad_request(asked: object) -> None:
    assert refused(asked)["code"] == 400


def test_what_is_no_json_is_a_bad_request() -> None:
    with pytest.raises(PromptRefused, match="Invalid JSON"):
        read_prompt("chat", b"{", config())


def test_completions_have_sixteen_tokens_unless_told() -> None:
    assert read({"model": "router", "prompt": "hi"}, "text").max_tokens == 16
    assert read({"model": "router", "prompt": ["a", "b"], "max_tokens": 3}, "text").max_tokens == 3
    assert refused({"model": "router"}, "text")["param"] == "prompt"


def test_tools_need_both_flags_where_the_model_may_choose() -> None:
    error = refused(ASKED | {"tools": TOOLS})
    assert error["message"] == '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
    chosen = read(ASKED | {"tools": TOOLS}, env=TOOL_ENV).tool
    assert chosen is not None
    assert chosen["name"] == "first"


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        ("required", "first"),
        ("none", None),
        ({"type": "function", "function": {"name": "second"}}, "second"),
        ({"type": "function", "function": {"name": "third"}}, "first"),
    ],
)
def test_a_choice_of_tools_is_obeyed(choice: object, name: str | None) -> None:
    tool = read(ASKED | {"tools": TOOLS, "tool_choice": choice}).tool
    assert (None if tool is None else tool["name"]) == name


def test_after_a_tools_answer_there_is_text() -> None:
    messages = [*ASKED["messages"], {"role": "tool", "tool_call_id": "x", "content": "42"}]
    assert read(ASKED | {"messages": messages, "tools": TOOLS}, env=TOOL_ENV).tool is None


def test_a_schema_is_taken_from_the_response_format() -> None:
    schema = {"type": "object"}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert read(ASKED | {"response_format": wanted}).schema == schema
    assert read(ASKED | {"response_format": {"type": "json_object"}}).schema is not None
    assert read(ASKED | {"response_format": {"type": "text"}}).schema is None


def test_a_final_message_to_continue_is_no_part_of_the_prompt() -> None:
    messages = [*ASKED["messages"], {"role": "assistant", "content": "the answ"}]
    prompt = read(ASKED | {"messages": messages, "continue_final_message": True})
    assert prompt.begun == "the answ"
    assert prompt.text == read(ASKED).text
    assert read(ASKED | {"continue_final_message": True}).begun == ""


def test_usage_can_be_forced_by_the_environment() -> None:
    assert read(ASKED, env={"MODEL_NAME": "router", "ENABLE_FORCE_INCLUDE_USAGE": "true"}).include_usage
