"""Token counts of one request, as the endpoint reported them or as the gateway counted them."""

import msgspec


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one request. ``cached`` is part of ``input``, ``reasoning`` is part of ``output``.

    A struct, as ``tiers.budgets.Hold``: some are made for every request, and a frozen dataclass takes three times as
    long to make.
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        """Tokens in and out."""
        return self.input + self.output
