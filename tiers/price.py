"""What a tier costs, in integers: microdollars (a millionth of a US dollar) and tokens.

A tier has exactly one price: by GPU time, where a request pays its share of the seconds it kept the GPU busy,
or per million tokens, which may have to be looked up in a list first. Costs round up, once per attempt: the ledger
never knows less than was spent.
"""

from dataclasses import dataclass
from typing import Final

from tiers.usage import Usage

MICRODOLLARS_PER_DOLLAR: Final = 1_000_000
TOKENS_PER_PRICE_UNIT: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuPrice:
    """Microdollars per second of one billed worker of the tier, all its GPUs together."""

    microdollars_per_second: int

    def cost(self, usage: Usage, gpu_seconds: float) -> int:
        """Microdollars for a share of ``gpu_seconds``, rounded up; ``usage`` does not matter here."""
        del usage
        return _ceil(gpu_seconds * self.microdollars_per_second)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrice:
    """Microdollars per million tokens in and out."""

    input_microdollars: int
    output_microdollars: int

    def cost(self, usage: Usage, gpu_seconds: float) -> int:
        """Microdollars for the tokens used, rounded up; ``gpu_seconds`` does not matter here."""
        del gpu_seconds
        total = usage.input * self.input_microdollars + usage.output * self.output_microdollars
        return -(-total // TOKENS_PER_PRICE_UNIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPrice:
    """A price per token that is left to LiteLLM's list: whoever serves the tier looks it up first (``tiers.load``)."""

    def cost(self, usage: Usage, gpu_seconds: float) -> int:
        """Nothing can be paid by it.

        Raises:
            ValueError: Always.
        """
        del usage, gpu_seconds
        raise ValueError("The tier's price is a list's, and was not looked up.")


Price = GpuPrice | TokenPrice | ListedPrice


def _ceil(value: float) -> int:
    whole = int(value)
    return whole if whole == value else whole + 1
