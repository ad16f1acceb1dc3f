"""Token counts of one request, as the endpoint reported them or as the gateway counted them."""


class Usage:
    """Tokens of one request. ``cached`` is part of ``input``, ``reasoning`` is part of ``output``. Never changed.

    A plain class of a compiled module: some are made for every request, and read a dozen times.
    """

    __slots__ = ("cached", "input", "output", "reasoning")

    def __init__(self, input: int = 0, output: int = 0, cached: int = 0, reasoning: int = 0) -> None:  # noqa: A002 - a field's name
        self.input = input
        self.output = output
        self.cached = cached
        self.reasoning = reasoning

    def __eq__(self, other: object) -> bool:
        """Whether all counts are the same."""
        return (
            isinstance(other, Usage)
            and self.input == other.input
            and self.output == other.output
            and self.cached == other.cached
            and self.reasoning == other.reasoning
        )

    def __hash__(self) -> int:
        """As equal ones have."""
        return hash((self.input, self.output, self.cached, self.reasoning))

    def __repr__(self) -> str:
        """How it is made."""
        return f"Usage({self.input}, {self.output}, cached={self.cached}, reasoning={self.reasoning})"

    @property
    def total(self) -> int:
        """Tokens in and out."""
        return self.input + self.output
