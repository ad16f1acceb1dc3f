"""Errors in the form that OpenAI's clients read."""

import json

import pytest

from gateway.errors import BudgetExhausted, InvalidRequest, TierSaturated, Unauthorized
from gateway.wire.envelope import error_body, error_event, error_headers, refusal_event


def test_a_body_has_openais_four_fields() -> None:
    """``message``, ``type``, ``param`` and ``code`` under ``error``."""
    assert json.loads(error_body(InvalidRequest('No "model".', param="model"))) == {
        "error": {
            "message": 'No "model".',
            "type": "invalid_request_error",
            "param": "model",
            "code": "invalid_request",
        }
    }
    assert json.loads(error_body(TierSaturated("Full.")))["error"]["param"] is None


def test_inside_a_stream_an_error_is_an_event_and_nothing_follows() -> None:
    """No ``[DONE]``: a broken stream never looks complete."""
    error = TierSaturated("Full.\nReally.")
    name, data, *rest = error_event(error).split(b"\n")
    assert (name, rest) == (b"event: error", [b"", b""])
    assert json.loads(data.removeprefix(b"data: ")) == {"type": "error", **json.loads(error_body(error))}


@pytest.mark.parametrize(
    ("seconds", "sent"), [(None, None), (0.0, b"1"), (0.2, b"1"), (1.0, b"1"), (1.2, b"2"), (86_400.0, b"86400")]
)
def test_when_to_come_back_is_told_in_whole_seconds(seconds: float | None, sent: bytes | None) -> None:
    """Rounded up, at least one; nothing where the gateway cannot know."""
    headers = dict(error_headers(TierSaturated("Full.", retry_after_seconds=seconds)))
    assert headers.get(b"retry-after") == sent


def test_a_client_is_told_where_trying_again_is_pointless() -> None:
    """The OpenAI SDK obeys ``x-should-retry``; without it, it decides by the status."""
    assert dict(error_headers(BudgetExhausted("Spent.")))[b"x-should-retry"] == b"false"
    assert b"x-should-retry" not in dict(error_headers(TierSaturated("Full.")))


def test_an_unknown_key_is_challenged() -> None:
    """RFC 9110 asks for it with 401, and with no other status."""
    assert dict(error_headers(Unauthorized("Who?")))[b"www-authenticate"] == b"Bearer"
    assert dict(error_headers(TierSaturated("Full."))) == {b"content-type": b"application/json"}


@pytest.mark.parametrize(
    ("said", "event"),
    [
        (
            b'{"error":{"message":"no","code":400}}',
            b'event: error\ndata: {"error":{"message":"no","code":400},"type":"error"}\n\n',
        ),
        (
            b"<html>",
            b'event: error\ndata: {"error":{"message":"<html>","type":"invalid_request_error"},"type":"error"}\n\n',
        ),
        (
            b'"no"',
            b'event: error\ndata: {"error":{"message":"\\"no\\"","type":"invalid_request_error"},"type":"error"}\n\n',
        ),
    ],
)
def test_what_an_endpoint_refuses_can_be_told_inside_a_stream(said: bytes, event: bytes) -> None:
    """In its own words, as an event that every SDK takes for an error."""
    assert refusal_event(said) == event
