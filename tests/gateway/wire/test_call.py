"""What is read of a request's body, and what is refused."""

import json
from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.wire.call import read_call
from gateway.wire.operations import OPERATIONS, Operation
from tests.gateway.wire.samples import CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, call
from tiers.estimate import PLAIN, Prompt


def test_the_least_request_has_plain_answers_to_every_question() -> None:
    """A model is all that must be there; the bytes stay as they came."""
    body = b' {"model" : "auto"}\n'
    found = call(body)
    assert (found.body, found.model) == (body, "auto")
    assert (found.stream, found.stream_options, found.wants_usage) == (False, None, False)
    assert (found.max_output, found.choices) == (None, 1)
    assert (found.tools, found.response_format, found.prompt) == (False, "text", PLAIN)


def test_nulls_count_as_absent() -> None:
    """Clients write null for what they did not set."""
    names = ("stream", "stream_options", "max_tokens", "n", "best_of", "tools", "response_format", "text", "prompt")
    found = call({"model": "m", **dict.fromkeys(names)})
    assert (found.stream, found.stream_options, found.max_output, found.choices) == (False, None, None, 1)
    assert (found.tools, found.response_format) == (False, "text")


@pytest.mark.parametrize(
    ("body", "field", "value"),
    [
        ({"stream": True}, "stream", True),
        ({"stream": True, "stream_options": {"include_usage": True}}, "wants_usage", True),
        ({"stream": True, "stream_options": {"include_usage": False}}, "wants_usage", False),
        ({"stream": True, "stream_options": {}}, "wants_usage", False),
        ({"max_tokens": 5}, "max_output", 5),
        ({"max_completion_tokens": 6}, "max_output", 6),
        ({"max_output_tokens": 7}, "max_output", 7),
        ({"max_tokens": 5, "max_completion_tokens": 9}, "max_output", 9),
        ({"max_tokens": 0}, "max_output", 0),
        ({"n": 3}, "choices", 3),
        ({"n": 2, "best_of": 5}, "choices", 5),
        ({"n": 0}, "choices", 1),
        ({"tools": [{"type": "function"}]}, "tools", True),
        ({"tools": []}, "tools", False),
        ({"response_format": {"type": "json_schema"}}, "response_format", "json_schema"),
        ({"response_format": {}}, "response_format", "text"),
        ({"text": {"format": {"type": "json_object"}}}, "response_format", "json_object"),
        ({"text": {}}, "response_format", "text"),
        ({"text": ["not the responses dialect's"]}, "response_format", "text"),
    ],
)
def test_what_routing_admission_and_accounting_ask(body: dict[str, Any], field: str, value: object) -> None:
    """Each question has one answer, whatever else is in the body."""
    assert getattr(call({"model": "m", **body}), field) == value


@pytest.mark.parametrize(
    ("body", "prompt"),
    [
        ({"messages": [{"content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, Prompt(unbounded=True)),
        ({"input": [{"content": [{"type": "input_audio"}]}]}, Prompt(unbounded=True)),
        ({"messages": [{"content": "an image_url in a text"}]}, PLAIN),
        ({"messages": [], "chat_template": "{{ 'x' * 9000 }}"}, Prompt(unbounded=True)),
        ({"messages": [], "chat_template": None, "previous_response_id": None}, PLAIN),
        ({"input": "and then?", "previous_response_id": "resp_1"}, Prompt(unbounded=True)),
        ({"messages": [], "chat_template_kwargs": {"enable_thinking": False}}, Prompt(rendered=True)),
        ({"messages": [], "documents": [{"text": "x"}]}, Prompt(rendered=True)),
        ({"messages": [], "tools": [{"type": "function"}]}, Prompt(rendered=True)),
        ({"messages": [], "tools": []}, PLAIN),
        ({"messages": [{"role": "assistant", "tool_calls": []}]}, Prompt(rendered=True)),
        ({"messages": [{"content": None, "tool_calls": [{"source": "x"}]}]}, Prompt(rendered=True)),
        ({"messages": [{"content": None, "tool_calls": None}]}, PLAIN),
        ({"prompt": "one"}, PLAIN),
        ({"prompt": ["one", "two"]}, Prompt(count=2)),
        ({"prompt": [1, 2, 3]}, PLAIN),
        ({"prompt": [[1, 2, 3], [4]]}, Prompt(count=2)),
    ],
)
def test_how_a_prompts_tokens_follow_from_the_size_of_the_body(body: dict[str, Any], prompt: Prompt) -> None:
    assert call({"model": "m", **body}).prompt == prompt


@pytest.mark.parametrize(
    ("path", "body", "prompt"),
    [
        ("/v1/embeddings", {"input": "one"}, Prompt()),
        ("/v1/embeddings", {"input": ["one", "two", "three"]}, Prompt(count=3)),
        ("/v1/embeddings", {"input": [[1, 2], [3]]}, Prompt(count=2)),
        ("/classify", {"input": []}, Prompt()),
        ("/v1/rerank", {"query": "q", "documents": ["a", "b"]}, Prompt(count=2, repeated=True)),
        ("/v1/rerank", {"query": "q", "documents": None}, Prompt()),
        ("/score", {"text_1": "q", "text_2": ["a", "b", "c"]}, Prompt(count=3, repeated=True)),
        ("/pooling", {"messages": [{"content": [{"image_url": {"url": "x"}}]}]}, Prompt(unbounded=True)),
    ],
)
def test_inputs_stand_alone_and_questions_stand_beside_each_document(
    path: str, body: dict[str, Any], prompt: Prompt
) -> None:
    """Each of them is a prompt, which may fill the context."""
    assert read_call(json.dumps({"model": "m", **body}).encode(), OPERATIONS[path]).prompt == prompt


def test_the_callers_own_stream_options_are_kept_as_they_came() -> None:
    """They are rewritten byte by byte later."""
    found = call(b'{"model":"m","stream_options":{ "include_usage" :true,"other":1}}')
    assert found.stream_options == b'{ "include_usage" :true,"other":1}'


@pytest.mark.parametrize(
    ("prompt", "choices"),
    [
        ("one text", 1),
        (["one", "two", "three"], 3),
        ([[1, 2], [3]], 2),
        ([1, 2, 3], 1),
        ([], 1),
    ],
)
def test_a_completion_answers_each_of_its_prompts(prompt: object, choices: int) -> None:
    """A list of texts or of token lists is several prompts, a list of token ids is one."""
    body = json.dumps({"model": "m", "prompt": prompt, "n": 2}).encode()
    assert read_call(body, COMPLETIONS).choices == 2 * choices


def test_prompts_of_an_operation_without_output_are_not_counted() -> None:
    """They have no answers to pay for."""
    assert read_call(b'{"model":"m","prompt":["a","b"]}', EMBEDDINGS).choices == 1


@pytest.mark.parametrize(
    ("body", "param", "text"),
    [
        (b"", None, "not JSON"),
        (b"{", None, "not JSON"),
        (b'{"model":"\xff"}', None, "not JSON"),
        (b'{"model":"\\ud800"}', None, "not JSON"),
        (b"\xff\xfe", None, "not JSON"),
        (b"[]", None, "Expected object"),
        (b"{}", "model", 'no "model"'),
        (b'{"model":""}', "model", 'no "model"'),
        (b'{"model":null}', "model", 'no "model"'),
        (b'{"model":7}', "model", "Expected str"),
        (b'{"model":"' + b"m" * 257 + b'"}', "model", "more than 256 characters"),
        (b'{"model":"m","stream":"yes"}', "stream", "Expected bool"),
        (b'{"model":"m","max_tokens":"9"}', "max_tokens", "Expected int"),
        (b'{"model":"m","response_format":{"type":1}}', "response_format.type", "Expected str"),
        (b'{"model":"m","stream_options":7}', None, "Expected object"),
        (b'{"model":"m","stream_options":{"include_usage":1}}', "include_usage", "Expected bool"),
        (b'{"model":"m","max_tokens":-1}', None, "negative"),
        (b'{"model":"m","n":-1}', None, "negative"),
        (b'{"model":"m","n":-1,"best_of":2}', None, "negative"),
        (b'{"model":"m","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, "nested too deeply"),
    ],
    ids=lambda value: repr(value)[:48],
)
def test_a_body_that_cannot_be_read_is_the_callers_fault(body: bytes, param: str | None, text: str) -> None:
    """400, with the field that is wrong where there is one."""
    with pytest.raises(InvalidRequest, match=text) as caught:
        call(body)
    assert caught.value.param == param
    assert "`" not in caught.value.message


@pytest.mark.parametrize("operation", [CHAT, RESPONSES, EMBEDDINGS], ids=lambda one: one.name)
def test_unknown_fields_of_any_type_are_none_of_the_gateways_business(operation: Operation) -> None:
    """The endpoint decides about them."""
    body = b'{"priority":[1],"model":"m","extra":{"model":{"n":"x"}},"temperature":"hot"}'
    assert read_call(body, operation).model == "m"


@pytest.mark.parametrize(
    "fields",
    [
        '"max_tokens":5,"max_tokens":4000',
        '"max_tokens":5,"max\\u005ftokens":4000',
        '"max_completion_tokens":5,"max_completion_tokens":9',
        '"max_output_tokens":5,"max_output_tokens":9',
        '"stream":false,"stream":true',
        '"stream_options":{},"stream_options":{"include_usage":true}',
        '"n":1,"n":50',
        '"best_of":1,"best_of":50',
        '"prompt":"a","prompt":["a","b"]',
        '"messages":[],"messages":[{"role":"user","content":"x"}]',
    ],
)
def test_what_is_read_stands_there_once(fields: str) -> None:
    """Else the gateway might reserve for one of the two, and the endpoint obey the other."""
    with pytest.raises(InvalidRequest, match="twice") as caught:
        read_call(f'{{"model":"a",{fields}}}'.encode(), COMPLETIONS)
    assert caught.value.param == fields.partition('"')[2].partition('"')[0]


def test_the_same_name_further_in_is_another_field() -> None:
    """Of a tool's parameters, or in what somebody says."""
    body = {
        "model": "a",
        "stream": False,
        "max_tokens": 5,
        "n": 1,
        "messages": [{"role": "user", "content": 'say "n" and "stream"'}],
        "tools": [{"function": {"parameters": {"n": 1, "stream": {}, "max_tokens": 2, "messages": []}}}],
        "stop": ["n", "stream"],
    }
    call = read_call(json.dumps(body).encode(), CHAT)
    assert (call.max_output, call.choices, call.stream) == (5, 1, False)
