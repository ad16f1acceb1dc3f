"""Whether a body with status 200 is an answer, and its usage."""

import pytest

from gateway.wire.answer import is_answer
from gateway.wire.operations import OPERATIONS, Operation
from tests.gateway.wire.samples import CHAT, EMBEDDINGS, TOKENIZE
from tiers.usage import Usage


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.path)
def test_an_answer_has_a_field_that_its_operation_expects(operation: Operation) -> None:
    """And nothing else has: Runpod's edge sends failures with status 200 and a body of its own."""
    field = operation.expects.encode()
    assert is_answer(b'{"%s":[1]}' % field, operation) == (True, None)
    assert is_answer(b'{"%s":null}' % field, operation) == (False, None)
    assert is_answer(b'{"status":"IN_QUEUE","id":"x"}', operation) == (False, None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'"choices"',
        b'{"choices":[1],"error":{"message":"no"}}',
        b'{"choices":[1],"error":"no"}',
        b'{"choices":[\xff]}',
        b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda body: repr(body)[:40],
)
def test_anything_else_is_none(body: bytes) -> None:
    """Also an answer that carries an error, one that is no JSON, and one that is nested without end."""
    assert is_answer(body, CHAT) == (False, None)


def test_an_error_of_null_is_none() -> None:
    """In vLLM's responses there is ``"error": null``."""
    assert is_answer(b'{"choices":[1],"error":null}', CHAT) == (True, None)


@pytest.mark.parametrize(
    ("usage", "found"),
    [
        (b'{"prompt_tokens":7,"completion_tokens":3}', Usage(input=7, output=3)),
        (b'{"prompt_tokens":0,"completion_tokens":0}', Usage()),
        (b"null", None),
        (b'{"prompt_tokens":"seven"}', None),
        (b'"none"', None),
    ],
)
def test_usage_is_read_where_it_can_be(usage: bytes, found: Usage | None) -> None:
    """An answer without readable usage is still an answer."""
    assert is_answer(b'{"choices":[1],"usage":%s}' % usage, CHAT) == (True, found)


def test_empty_lists_are_answers() -> None:
    """An empty text has no tokens, an empty batch no vectors."""
    assert is_answer(b'{"tokens":[]}', TOKENIZE)[0]
    assert is_answer(b'{"data":[],"usage":{"prompt_tokens":0}}', EMBEDDINGS) == (True, Usage())
