import pytest

from gateway.wire.too_long import is_too_long, tokens_named


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        (b"This model's maximum context length is 8192 tokens. However, your request has 9000 input tokens.", 9000),
        (b"The decoder prompt (length 5000) is longer than the maximum model length of 4096.", 5000),
        (b'{"error":{"message":"Too long.","code":"context_length_exceeded"}}', 0),
        (b'{"error":{"type":"exceed_context_size_error","n_prompt_tokens":5013,"n_ctx":4096}}', 5013),
        (b"the request exceeds the available context size, try increasing it", 0),
        (b"prompt is too long: 215000 tokens > 200000 maximum", 215_000),
        (b"Maximum Context Length exceeded at 1795354491.25 in req-12345678901", 0),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_engines_say_that_a_request_does_not_fit(body: bytes, tokens: int) -> None:
    """Each in its own words, mostly with the number of tokens; times and ids are none."""
    assert is_too_long(body)
    assert tokens_named(body) == tokens


@pytest.mark.parametrize("body", [b"", b"content_filter", b'{"error":{"message":"temperature must be below 2"}}'])
def test_other_refusals_are_none(body: bytes) -> None:
    assert not is_too_long(body)
