"""How many scouts are out, without a store."""


class CountedWakes:
    """Fulfils ``gateway.upstream.gate.Wakes`` for one process.

    Attributes:
        out: How many are out, by endpoint.
        granted: How many were ever let go.
        others: So many of other processes are out, too.
    """

    def __init__(self) -> None:
        self.out: dict[str, int] = {}
        self.granted = 0
        self.others = 0

    async def claim(self, base: str, wanted: int, outstanding_max: int) -> int:
        """See ``Wakes.claim``."""
        granted = max(0, min(wanted, outstanding_max - self.out.get(base, 0) - self.others))
        self.out[base] = self.out.get(base, 0) + granted
        self.granted += granted
        return granted

    async def release(self, base: str, count: int) -> None:
        """See ``Wakes.release``."""
        self.out[base] -= count
