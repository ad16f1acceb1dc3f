"""Whether an endpoint refused a request because it does not fit into its context, and how large it would have to be."""

import re
from typing import Final

_SAYS: Final = re.compile(
    rb"context_length_exceeded|maximum context length|maximum model length|available context size|exceed_context_size"
    rb"|prompt is too long",
    re.IGNORECASE,
)
"""OpenAI and vLLM; vLLM's tokenisers; llama.cpp, twice; Anthropic."""
_NUMBER: Final = re.compile(rb"(?<![0-9.])[0-9]{2,9}(?![0-9.]*[0-9])")


def is_too_long(body: bytes) -> bool:
    """Whether the ``body`` of a 400 says that the context is too small."""
    return _SAYS.search(body) is not None


def tokens_named(body: bytes) -> int:
    """The largest number in ``body``, 0 where there is none: engines name the context and what it would take."""
    return max(map(int, _NUMBER.findall(body)), default=0)
