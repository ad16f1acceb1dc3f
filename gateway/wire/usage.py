"""Token counts as endpoints report them, in every dialect."""

import msgspec

from gateway.wire.operations import Dialect
from gateway.wire.shapes import ReportedUsage
from tiers.usage import Usage

_decode = msgspec.json.Decoder(ReportedUsage).decode


def read_usage(raw: bytes, dialect: Dialect) -> Usage | None:
    """The counts in the JSON value ``raw``, or ``None`` where it is no usage object. A usage of zero is zero."""
    try:
        return to_usage(_decode(raw), dialect)
    except msgspec.DecodeError:
        return None


def to_usage(reported: ReportedUsage, dialect: Dialect) -> Usage | None:
    """``reported`` in our terms; ``None`` where it holds no count at all, or a negative one."""
    fresh = reported.prompt_tokens if reported.prompt_tokens is not None else reported.input_tokens
    output = reported.completion_tokens if reported.completion_tokens is not None else reported.output_tokens
    if fresh is None and output is None:
        fresh = reported.total_tokens  # rerankers report nothing else
    if fresh is None and output is None:
        return None
    in_details = reported.prompt_tokens_details or reported.input_tokens_details
    out_details = reported.completion_tokens_details or reported.output_tokens_details
    cached = in_details.cached_tokens if in_details is not None else None
    total_input = fresh or 0
    if dialect is Dialect.MESSAGES:
        # Anthropic's input_tokens leave out what was read from or written to the cache.
        cached = reported.cache_read_input_tokens
        total_input += (cached or 0) + (reported.cache_creation_input_tokens or 0)
    reasoning = out_details.reasoning_tokens if out_details is not None else None
    total_output, total_cached, total_reasoning = output or 0, cached or 0, reasoning or 0
    if total_input < 0 or total_output < 0 or total_cached < 0 or total_reasoning < 0:
        return None
    return Usage(input=total_input, output=total_output, cached=total_cached, reasoning=total_reasoning)
