"""A request's body → what LiteLLM's SDK is called with."""

from gateway.upstream.litellm_call import arguments

CHAT = b"/v1/chat/completions"


def test_what_the_sdk_knows_is_an_argument() -> None:
    body = {"model": "tier", "messages": [], "max_tokens": 5, "tools": [{"type": "function"}], "seed": None}
    assert arguments(CHAT, body, extra=True) == {"messages": [], "max_tokens": 5, "tools": [{"type": "function"}]}


def test_a_caller_cannot_change_the_sdks_own_settings() -> None:
    """They go along as fields of the request's body at most: the provider's key is sent to no other address."""
    settings = {
        "api_base": "http://evil.test",
        "api_key": "x",
        "mock_response": "yes",
        "extra_headers": {},
        "timeout": 1,
    }
    body = {"messages": [], **settings}
    assert arguments(CHAT, body, extra=True) == {"messages": [], "extra_body": settings}
    assert arguments(CHAT, body, extra=False) == {"messages": []}


def test_a_stream_is_asked_for_its_usage() -> None:
    body = {"messages": [], "stream": True, "stream_options": {"include_usage": False}}
    made = arguments(CHAT, body, extra=True)
    assert made == {"messages": [], "stream": True, "stream_options": {"include_usage": True}}


def test_each_operation_has_its_own_arguments() -> None:
    body = {"prompt": "a", "input": "b", "messages": []}
    assert arguments(b"/v1/completions", body, extra=False) == {"prompt": "a"}
    assert arguments(b"/v1/embeddings", body, extra=False) == {"input": "b"}
