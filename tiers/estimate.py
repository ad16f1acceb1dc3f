"""What a request may take at most, and what its prompt likely takes: both known before the call.

Routing wants a likely figure, budgets want an upper bound: a reservation that covers the worst case can be
settled without overdrawing.
"""

from dataclasses import dataclass
from typing import Final

from tiers.price import GpuPrice
from tiers.tiermap import Tier
from tiers.usage import Usage

BYTES_PER_TOKEN: Final = 4
"""Typical of English text and code with the vocabularies of current models."""
RENDERED_FACTOR: Final = 3
"""Tokens that a byte of JSON can become where a chat template writes it anew: itself, a line break and an indentation.
Templates write tools, tool calls and documents with ``tojson``, some with ``indent=4`` (Llama 3.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """How the tokens of a request's prompts follow from the size of its body.

    ``unbounded``: not at all, as with an image by its address. ``rendered``: parts of it are JSON that the chat
    template writes anew. ``count``: so many prompts, each as long as the context at most. ``repeated``: a part of the
    body stands in each of them, as the question does in each pair that is to be scored.
    """

    unbounded: bool = False
    rendered: bool = False
    count: int = 1
    repeated: bool = False


PLAIN: Final = Prompt()
"""One prompt, that the template writes around the body's texts: nearly all are so."""


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


def prompt_bound(tier: Tier, prompt: Prompt, *, body_bytes: int) -> int:
    """The most tokens that a request's prompts can have on this tier, all together.

    Current models cut text into tokens of at least one byte each, so a text has no more tokens than bytes; JSON says
    each text in at least its own bytes, and more of them around each message than a template puts there. What the
    template says of its own is the tier's ``template_tokens``, and as much again where it introduces tools. No prompt
    is longer than the context.
    """
    if prompt is PLAIN:
        tokens = body_bytes + tier.template_tokens
        if tokens > tier.context:  # noqa: PLR1730 - min() is called as a builtin, for every request
            tokens = tier.context
        return tokens
    most = tier.context * prompt.count
    if prompt.unbounded:
        return most
    tokens = body_bytes * (prompt.count if prompt.repeated else 1)
    template = tier.template_tokens * prompt.count
    if prompt.rendered:
        tokens, template = tokens * RENDERED_FACTOR, 2 * template
    return min(tokens + template, most)


def worst_case(
    tier: Tier, *, prompt_tokens: int, max_output: int | None, choices: int = 1, generates: bool = True
) -> Usage:
    """The most tokens that a request can use on this tier.

    Args:
        tier: Where the request would run.
        prompt_tokens: The bound on its prompts, see ``prompt_bound``.
        max_output: The bound on each answer that is sent; ``None``, 0 and below count as none, so that only the
            context bounds it.
        choices: How many answers the caller asks for (``n``).
        generates: Whether the operation generates at all; embeddings and the like do not.
    """
    output = tier.context
    if max_output is not None and 0 < max_output < output:
        output = max_output
    return Usage(input=prompt_tokens, output=output * choices if generates else 0)


def worst_cost(tier: Tier, usage: Usage, seconds: float) -> int:
    """The most microdollars that a request with this worst-case usage can cost on this tier within so many seconds.

    By GPU time a request can keep one worker busy for as long and no longer.
    """
    return tier.price.cost(usage, seconds)


def billed_seconds(tier: Tier, seconds: float) -> float:
    """How many of the seconds that a request took are GPU seconds: all, where the tier is paid by GPU time."""
    return seconds if isinstance(tier.price, GpuPrice) else 0.0
