"""What is served, and how its answers carry tokens."""

import pytest

from gateway.wire.operations import OPERATIONS, Dialect, Operation


def test_every_path_that_agents_use_is_served_under_its_own_name() -> None:
    """OpenAI's, Anthropic's and vLLM's own paths; each operation is found by the path it carries."""
    assert set(OPERATIONS) == {
        *("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens"),
        *("/v1/embeddings", "/v1/rerank", "/v2/rerank", "/rerank", "/v1/score", "/score", "/pooling", "/classify"),
        *("/tokenize", "/detokenize"),
    }
    assert all(operation.path == path for path, operation in OPERATIONS.items())


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.path)
def test_every_operation_says_how_to_tell_its_answer_from_anything_else(operation: Operation) -> None:
    """An operation without expected fields would take any JSON for an answer."""
    assert operation.expects
    assert operation.name


def test_only_generating_operations_have_output_tokens() -> None:
    """Embeddings, scores and tokenizers produce none, so none are reserved for them."""
    generating = {operation.dialect for operation in OPERATIONS.values() if operation.generates}
    assert generating == {Dialect.CHAT, Dialect.COMPLETION, Dialect.RESPONSES, Dialect.MESSAGES}
