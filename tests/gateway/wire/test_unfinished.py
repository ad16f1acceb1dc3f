"""An answer that broke off: whether the rest can be asked for, and how."""

import json
from typing import Any

import pytest

from gateway.wire.unfinished import SENT_BYTES_MAX, Unfinished
from tests.gateway.wire.samples import DONE, HELLO, ROLE, STOP, call, chunk, event
from tiers.usage import Usage

ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi."}], "stream": True}
TEXT_TOKENS = 2


def broken(*pieces: bytes, usage: Usage | None = None, **asked: Any) -> Unfinished:  # noqa: ANN401 - JSON
    """An answer of which ``pieces`` were sent, to a request with these fields."""
    unfinished = Unfinished(call(ASKED | asked))
    for piece in pieces or (ROLE, HELLO, chunk({"content": " you "})):
        unfinished.took(piece)
    unfinished.broke(usage, TEXT_TOKENS)
    return unfinished


def asked_next(unfinished: Unfinished) -> dict[str, Any]:
    """The body of the request for the rest."""
    assert unfinished.possible
    body: dict[str, Any] = json.loads(unfinished.rest().body)
    return body


def test_the_text_so_far_becomes_the_last_message() -> None:
    """In vLLM's terms; without the white space at its end. All else stays as the caller sent it."""
    unfinished = broken(x={"y": [1, 2]}, temperature=0.5)
    body = asked_next(unfinished)
    assert (unfinished.text, unfinished.prefix) == ("Hello you ", "Hello you")
    assert body == ASKED | {
        "messages": [*ASKED["messages"], {"role": "assistant", "content": "Hello you"}],
        "x": {"y": [1, 2]},
        "temperature": 0.5,
        "continue_final_message": True,
        "add_generation_prompt": False,
    }
    rest = unfinished.rest()
    assert (rest.stream, rest.model, rest.choices, rest.max_output) == (True, "m", 1, None)


def test_an_answer_of_which_no_text_came_is_asked_for_anew() -> None:
    """There is nothing to go on with."""
    for pieces in ([ROLE], [ROLE, chunk({"content": " \n"})], [b": ping\n\n"]):
        assert asked_next(broken(*pieces)) == ASKED


@pytest.mark.parametrize(("bound", "left"), [(10, 8), (3, 1), (1, 1)])
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_bound_is_what_is_left_of_it(name: str, bound: int, left: int) -> None:
    """At least one token: how many there were is a count, and mostly not the endpoint's."""
    asked: dict[str, Any] = {name: bound}
    unfinished = broken(**asked)
    assert asked_next(unfinished)[name] == left
    assert unfinished.rest().max_output == left
    both = broken(max_tokens=bound, max_completion_tokens=50)
    assert asked_next(both)["max_completion_tokens"] == 48
    assert both.rest().max_output == 48
    asked[name] = None
    assert asked_next(broken(**asked))[name] is None


def test_values_of_the_caller_are_replaced_and_not_doubled() -> None:
    """Where they said what holds for the first part only."""
    body = broken(continue_final_message=False, add_generation_prompt=True).rest().body
    assert body.count(b"continue_final_message") == body.count(b"add_generation_prompt") == 1
    assert json.loads(body)["continue_final_message"] is True
    assert json.loads(body)["add_generation_prompt"] is False


@pytest.mark.parametrize(
    "asked",
    [
        {"n": 2},
        {"tools": [{"type": "function"}]},
        {"tools": [{"type": "function"}], "tool_choice": "auto"},
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "json_schema", "json_schema": {}}},
        {"logprobs": True},
        {"top_logprobs": 3},
        {"guided_json": {"type": "object"}},
        {"guided_choice": ["a"]},
        {"structured_outputs": {"regex": "a"}},
        {"grammar": "root ::= x"},
        {"functions": [{}]},
        {"echo": True},
        {"continue_final_message": True},
        {"add_generation_prompt": False},
        {"messages": []},
        {"messages": [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "H"}]},
        {"messages": ["Hi."]},
    ],
    ids=json.dumps,
)
def test_a_request_whose_answer_has_a_form_is_not_continued(asked: dict[str, Any]) -> None:
    """Nor one with several answers, with counts from the first token on, or with a last message of the model's."""
    unfinished = broken(**asked)
    assert not unfinished.possible
    with pytest.raises(RuntimeError):
        unfinished.rest()


@pytest.mark.parametrize(
    "asked",
    [
        {"n": 1, "logprobs": False, "top_logprobs": 0, "tools": [], "functions": None, "guided_json": None},
        {"response_format": {"type": "text"}},
        {"tools": [{"type": "function"}], "tool_choice": "none"},
        {"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}, ASKED["messages"][0]]},
    ],
    ids=json.dumps,
)
def test_a_plain_request_is_continued_whatever_it_spells_out(asked: dict[str, Any]) -> None:
    """Values that say what holds anyway are no hindrance."""
    assert broken(**asked).possible


def test_a_body_with_a_field_twice_is_not_continued() -> None:
    """Which of them holds is the endpoint's secret."""
    unfinished = Unfinished(call(b'{"model":"m","messages":[{"role":"user"}],"top_k":1,"top_k":2,"stream":true}'))
    unfinished.took(HELLO)
    unfinished.broke(None, 1)
    assert not unfinished.possible


@pytest.mark.parametrize(
    "piece",
    [
        chunk({"tool_calls": [{"index": 0}]}),
        chunk({"function_call": {"name": "f"}}),
        chunk({"reasoning_content": "Hm"}),
        chunk({"reasoning": "Hm"}),
        chunk({"refusal": "No"}),
        chunk({"content": [{"type": "text"}]}),
        chunk({"content": "a"}, {"content": "b"}),
        event({"choices": [{"index": 0, "delta": {"content": "a"}, "logprobs": {"content": []}}]}),
        event({"choices": ["x"]}),
        event({"choices": [{"delta": "x"}]}),
        b"data: [1]\n\n",
        b"data: {\n\n",
        STOP,
        DONE,
    ],
    ids=lambda value: repr(value)[:60],
)
def test_an_answer_that_is_more_than_text_is_not_continued(piece: bytes) -> None:
    """Or that has ended, or cannot be read."""
    assert not broken(HELLO, piece).possible


def test_what_chunks_say_of_nothing_is_no_hindrance() -> None:
    """Servers spell out fields that are empty, and clients get comments in between."""
    empty = chunk({"content": None, "tool_calls": [], "reasoning_content": None, "refusal": None})
    wide = HELLO.replace(b"\n", b"\r\n") + b": ping\r\n\r\n"
    assert broken(empty, wide, event({"choices": None}), HELLO).text == ""
    unfinished = broken(empty, wide, event({"choices": None}), HELLO)
    assert unfinished.possible
    assert unfinished.text == "HelloHello"


def test_a_stream_that_is_too_long_is_not_continued() -> None:
    """And holds no memory any more."""
    piece = chunk({"content": "x" * 999_900})
    pieces = SENT_BYTES_MAX // len(piece)
    assert broken(*[piece] * pieces).possible
    assert not broken(*[piece] * (pieces + 1)).possible
    assert not broken(*[piece] * (pieces + 1), HELLO).possible


def test_a_second_break_asks_for_the_rest_of_all_of_it() -> None:
    """The original request, with all text so far."""
    unfinished = broken(max_tokens=10)
    assert asked_next(unfinished)["max_tokens"] == 8
    unfinished.took(b": tiergate continued on other/0\n\n" + HELLO)
    unfinished.broke(None, 1)
    body = asked_next(unfinished)
    assert [message["role"] for message in body["messages"]] == ["user", "assistant"]
    assert body["messages"][1]["content"] == "Hello you Hello"
    assert body["max_tokens"] == 7
    assert (unfinished.parts, unfinished.output) == (2, 3)


def test_usage_is_one_prompt_and_all_output() -> None:
    """The last part's prompt holds the parts before it; a prompt that was reported at first is the prompt."""
    unfinished = broken()
    prompt = -(-len(call(ASKED).body) // 4)
    assert unfinished.usage(None, 5) == Usage(input=prompt, output=TEXT_TOKENS + 5)
    rest = Usage(input=20, output=5, cached=19, reasoning=1)
    assert unfinished.usage(rest, 9) == Usage(input=18, output=TEXT_TOKENS + 5, cached=18, reasoning=1)
    assert unfinished.usage(Usage(), 9) == Usage(output=TEXT_TOKENS)
    known = broken(usage=Usage(input=7, output=3))
    assert known.usage(rest, 9) == Usage(input=7, output=8, cached=7, reasoning=1)
    assert known.usage(None, 9) == Usage(input=7, output=12)
    known.broke(Usage(input=10, output=1), 9)
    assert known.usage(rest, 9).input == 7
