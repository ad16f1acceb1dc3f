"""Token counts of every dialect, in one form."""

import json
from typing import Any

import pytest

from gateway.wire.operations import Dialect
from gateway.wire.usage import read_usage
from tiers.usage import Usage


@pytest.mark.parametrize(
    ("dialect", "reported", "usage"),
    [
        (Dialect.CHAT, {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}, Usage(input=7, output=3)),
        (Dialect.CHAT, {"prompt_tokens": 0, "completion_tokens": 0}, Usage()),
        (Dialect.CHAT, {"prompt_tokens": 7, "completion_tokens": None}, Usage(input=7)),
        (Dialect.CHAT, {"completion_tokens": 3}, Usage(output=3)),
        (
            Dialect.CHAT,
            {
                "prompt_tokens": 7,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
            Usage(input=7, output=5, cached=4, reasoning=2),
        ),
        (Dialect.CHAT, {"prompt_tokens": 1, "prompt_tokens_details": {}}, Usage(input=1)),
        (
            Dialect.RESPONSES,
            {
                "input_tokens": 7,
                "output_tokens": 5,
                "input_tokens_details": {"cached_tokens": 4},
                "output_tokens_details": {"reasoning_tokens": 2},
            },
            Usage(input=7, output=5, cached=4, reasoning=2),
        ),
        (
            Dialect.MESSAGES,
            {
                "input_tokens": 7,
                "output_tokens": 5,
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": 20,
            },
            Usage(input=127, output=5, cached=100),
        ),
        (Dialect.POOLING, {"total_tokens": 9}, Usage(input=9)),
        (Dialect.POOLING, {"prompt_tokens": 8, "total_tokens": 9}, Usage(input=8)),
    ],
)
def test_counts_mean_the_same_in_every_dialect(dialect: Dialect, reported: dict[str, Any], usage: Usage) -> None:
    """Cached tokens are part of the input, also where Anthropic's dialect leaves them out; zero is zero."""
    assert read_usage(json.dumps(reported | {"unknown": "field"}).encode(), dialect) == usage


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b"null",
        b"7",
        b"not json",
        b'{"prompt_tokens":"7"}',
        b'{"prompt_tokens":-1}',
        b'{"prompt_tokens":1,"completion_tokens":-1}',
        b'{"prompt_tokens":1,"prompt_tokens_details":{"cached_tokens":-1}}',
    ],
)
def test_what_holds_no_counts_is_no_usage(raw: bytes) -> None:
    """Then the gateway counts for itself, instead of believing in zero or less."""
    assert read_usage(raw, Dialect.CHAT) is None
