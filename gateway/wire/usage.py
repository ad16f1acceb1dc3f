"""Token counts as endpoints report them, in every dialect."""

from typing import Final, cast

import msgspec

from gateway.wire.operations import Dialect
from gateway.wire.shapes import Details, ReportedUsage
from tiers.usage import Usage

_Fields = tuple[
    int | None, int | None, int | None, int | None, int | None, int | None, int | None, Details | None,
    Details | None, Details | None, Details | None,
]  # fmt: skip
_fields: Final = msgspec.structs.astuple
_decode: Final = msgspec.json.Decoder(ReportedUsage).decode


def read_usage(raw: bytes, dialect: Dialect) -> Usage | None:
    """The counts in the JSON value ``raw``, or ``None`` where it is no usage object. A usage of zero is zero."""
    try:
        return to_usage(_decode(raw), dialect)
    except msgspec.DecodeError:
        return None


def to_usage(reported: ReportedUsage, dialect: Dialect) -> Usage | None:
    """``reported`` in our terms; ``None`` where it holds no count at all, or a negative one."""
    (
        prompt_tokens, completion_tokens, total_tokens, input_tokens, output_tokens, cache_read, cache_creation,
        prompt_details, completion_details, input_details, output_details,
    ) = cast("_Fields", _fields(reported))  # fmt: skip
    fresh = prompt_tokens if prompt_tokens is not None else input_tokens
    output = completion_tokens if completion_tokens is not None else output_tokens
    if fresh is None and output is None:
        fresh = total_tokens  # rerankers report nothing else
    if fresh is None and output is None:
        return None
    in_details = prompt_details or input_details
    out_details = completion_details or output_details
    cached = in_details.cached_tokens if in_details is not None else None
    total_input = fresh or 0
    if dialect is Dialect.MESSAGES:
        # Anthropic's input_tokens leave out what was read from or written to the cache.
        cached = cache_read
        total_input += (cached or 0) + (cache_creation or 0)
    reasoning = out_details.reasoning_tokens if out_details is not None else None
    total_output, total_cached, total_reasoning = output or 0, cached or 0, reasoning or 0
    if total_input < 0 or total_output < 0 or total_cached < 0 or total_reasoning < 0:
        return None
    return Usage(input=total_input, output=total_output, cached=total_cached, reasoning=total_reasoning)
