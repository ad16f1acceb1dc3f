"""What a request may take at most, and what its prompt likely takes: both known before the call.

Routing wants a likely figure, budgets want an upper bound: a reservation that covers the worst case can be
settled without overdrawing.
"""

from tiers.price import GpuPrice
from tiers.tiermap import Tier
from tiers.usage import Usage

BYTES_PER_TOKEN = 4
"""Typical of English text and code with the vocabularies of current models."""


def likely_tokens(text_bytes: int) -> int:
    """The likely number of tokens in a text of so many bytes, rounded up."""
    return -(-text_bytes // BYTES_PER_TOKEN)


def likely_prompt_tokens(prompt_bytes: int) -> int:
    """The likely size of a prompt, from the size of the request's body. It chooses routes; it is no bound."""
    return likely_tokens(prompt_bytes)


def answer_bound(tier: Tier, *, prompt_bytes: int) -> int | None:
    """The bound to send for a caller that set none; ``None`` where none should be sent.

    That is the tier's ``output`` where the prompt surely leaves room for it: engines refuse a bound that does not fit
    beside the prompt.
    """
    if tier.output is not None and prompt_bytes + tier.output <= tier.context:
        return tier.output
    return None


def worst_case(
    tier: Tier, *, prompt_bytes: int, max_output: int | None, choices: int = 1, generates: bool = True
) -> Usage:
    """The most tokens that a request can use on this tier.

    Current models cut text into tokens of at least one byte each, so a prompt has no more tokens than bytes;
    and none is longer than the context.

    Args:
        tier: Where the request would run.
        prompt_bytes: The size of the request's body. Its JSON is larger than what a chat template adds to the text.
        max_output: The bound on each answer that is sent; ``None``, 0 and below count as none, so that only the
            context bounds it.
        choices: How many answers the caller asks for (``n``).
        generates: Whether the operation generates at all; embeddings and the like do not.
    """
    output = min(max_output, tier.context) if max_output is not None and max_output > 0 else tier.context
    return Usage(input=min(prompt_bytes, tier.context), output=output * choices if generates else 0)


def worst_cost(tier: Tier, usage: Usage, seconds: float) -> int:
    """The most microdollars that a request with this worst-case usage can cost on this tier within so many seconds.

    By GPU time a request can keep one worker busy for as long and no longer.
    """
    return tier.price.cost(usage, seconds)


def billed_seconds(tier: Tier, seconds: float) -> float:
    """How many of the seconds that a request took are GPU seconds: all, where the tier is paid by GPU time."""
    return seconds if isinstance(tier.price, GpuPrice) else 0.0
