"""What LiteLLM's SDK answers, as bytes."""

import json
from typing import Any

from gateway.upstream.litellm_answer import answer_bytes, event_bytes

USAGE = {
    "completion_tokens": 3,
    "prompt_tokens": 7,
    "total_tokens": 10,
    "completion_tokens_details": {"reasoning_tokens": None, "text_tokens": 3},
    "prompt_tokens_details": {"cached_tokens": 4, "image_tokens": None, "text_tokens": 3},
    "cost": 0.1,
}


def event(choice: dict[str, Any], **fields: object) -> dict[str, Any]:
    """The data of one event."""
    told = event_bytes({"id": "c", "choices": [choice], "citations": None, **fields})
    assert told.startswith(b"data: ")
    assert told.endswith(b"\n\n")
    data: dict[str, Any] = json.loads(told[6:])
    return data


def test_a_whole_answer_has_openais_form() -> None:
    """What is not set is left out, but for what clients look for; LiteLLM's own fields are, too."""
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call], "provider_specific_fields": {"a": 1}}
    choice = {"index": 0, "message": message, "logprobs": {"content": [{"bytes": None}]}}
    told = json.loads(answer_bytes({"id": "c", "service_tier": None, "choices": [choice], "usage": USAGE, "own": 1}))
    assert told == {
        "id": "c",
        "own": 1,
        "choices": [
            {
                "index": 0,
                "finish_reason": None,
                "logprobs": {"content": [{"bytes": None}]},
                "message": {"role": "assistant", "content": None, "tool_calls": [call]},
            }
        ],
        "usage": {
            "completion_tokens": 3,
            "prompt_tokens": 7,
            "total_tokens": 10,
            "prompt_tokens_details": {"cached_tokens": 4},
        },
    }


def test_embeddings_pass_with_their_usage() -> None:
    told = json.loads(answer_bytes({"object": "list", "data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 2}}))
    assert told == {"object": "list", "data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 2}}


def test_an_event_says_what_it_adds_and_whether_it_is_the_last() -> None:
    said = event({"index": 0, "delta": {"content": "Hi", "role": None}})
    assert said == {"id": "c", "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]}


def test_usage_stands_in_an_event_of_its_own() -> None:
    assert event({"index": 0, "delta": {"content": None}}, usage=USAGE)["choices"] == []
    assert event({"index": 0, "text": None}, usage=USAGE)["choices"] == []
    for choice in ({"delta": {}, "finish_reason": "stop"}, {"delta": {"content": "Hi"}}, {"text": "Hi"}):
        assert len(event(choice, usage=USAGE)["choices"]) == 1


def test_the_last_piece_of_a_completion_has_a_text() -> None:
    assert event({"text": None, "finish_reason": "length"})["choices"] == [{"finish_reason": "length", "text": ""}]
