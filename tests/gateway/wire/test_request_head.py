"""A request's head as the steps read it."""

import pytest

from gateway.errors import InvalidRequest
from gateway.wire.identity import Identity
from gateway.wire.operations import OPERATIONS
from gateway.wire.request_head import RequestHead

CHAT = OPERATIONS["/v1/chat/completions"]


def test_a_head_has_what_the_steps_ask_for() -> None:
    """Of two headers with one name the last counts."""
    headers = [
        (b"authorization", b"Bearer old"),
        (b"x-api-key", b"k"),
        (b"authorization", b"Bearer new"),
        (b"content-length", b"5"),
        (b"x-tiergate-agent", b"writer"),
        (b"accept", b"*/*"),
    ]
    head = RequestHead(CHAT, headers)
    assert (head.operation, head.authorization, head.api_key, head.content_length) == (CHAT, b"Bearer new", b"k", b"5")
    assert head.headers == headers
    assert head.identity == Identity(agent="writer")
    assert head.passed.fields == [(b"accept", b"*/*"), (b"accept-encoding", b"identity")]


def test_each_thing_is_worked_out_once() -> None:
    """One object stands for all the requests whose head is the same."""
    head = RequestHead(CHAT, [(b"x-tiergate-run", b"r1"), (b"accept", b"*/*")])
    assert head.identity is head.identity
    assert head.passed is head.passed


def test_a_name_that_is_refused_is_refused_each_time() -> None:
    """The next request is told too."""
    head = RequestHead(CHAT, [(b"x-tiergate-run", b"a" * 300)])
    for _ in range(2):
        with pytest.raises(InvalidRequest):
            _ = head.identity
