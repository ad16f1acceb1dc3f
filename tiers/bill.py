"""What was billed, beside what is known of it: every billed second is booked somewhere.

    billed = attributed + starting + idle + unexplained

Attributed are the shares of requests, starting and idle what was seen of workers without any. What is left is
unexplained, which is the drift; it is below zero where more was seen than billed. All amounts are integers,
milliseconds and microdollars, so the sum holds exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MILLISECONDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What one endpoint's workers were seen to do on one day, in milliseconds.

    Attributes:
        attributed: Tier → what its requests owe.
        starting: Workers that loaded.
        awake: Workers that could work, whether they did or not.
    """

    attributed: Mapping[str, int] = field(default_factory=dict)
    starting: int = 0
    awake: int = 0

    @property
    def idle(self) -> int:
        """Workers that could work and had nothing to do: what was awake and is owed by nobody."""
        return max(0, self.awake - sum(self.attributed.values()))

    @property
    def seen(self) -> int:
        """All that should be on the bill: what was starting or awake, or is owed although nobody saw it."""
        return sum(self.attributed.values()) + self.starting + self.idle


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One tier at one endpoint on one day; milliseconds of workers, and what was billed in microdollars."""

    day: str
    tier: str
    endpoint: str
    attributed: int
    starting: int
    idle: int
    billed: int
    billed_microdollars: int

    @property
    def overhead(self) -> int:
        """What was paid for no request."""
        return self.starting + self.idle

    @property
    def unexplained(self) -> int:
        """The drift: billed and not seen; below zero where more was seen than billed."""
        return self.billed - self.attributed - self.overhead

    @property
    def unexplained_microdollars(self) -> int:
        """The drift in money, at what a billed second cost."""
        return self.unexplained * self.billed_microdollars // self.billed if self.billed else 0

    @property
    def drift(self) -> float:
        """The part of the bill that is unexplained: 0.01 is 1 %."""
        return self.unexplained / self.billed if self.billed else 0.0


def billed_milliseconds(microdollars: int, microdollars_per_second: int) -> int:
    """How long workers ran that cost so much, rounded to nearest: Runpod's bill has amounts and no seconds."""
    if not microdollars_per_second:
        return 0
    return (2 * microdollars * MILLISECONDS + microdollars_per_second) // (2 * microdollars_per_second)


def reconcile(
    *, day: str, endpoint: str, tiers: Sequence[str], books: Books, billed: int, billed_microdollars: int
) -> list[Line]:
    """A line for each of the endpoint's ``tiers``, at least one.

    What several share beside their requests is split by what these owe, or evenly where they owe nothing.
    """
    names = list(dict.fromkeys([*tiers, *books.attributed]))
    weights = [books.attributed.get(name, 0) for name in names]
    if not sum(weights):
        weights = [1] * len(names)
    parts = [split(amount, weights) for amount in (books.starting, books.idle, billed, billed_microdollars)]
    return [
        Line(
            day=day,
            tier=name,
            endpoint=endpoint,
            attributed=books.attributed.get(name, 0),
            starting=starting,
            idle=idle,
            billed=part,
            billed_microdollars=cost,
        )
        for name, starting, idle, part, cost in zip(names, *parts, strict=True)
    ]


def split(amount: int, weights: Sequence[int]) -> list[int]:
    """``amount`` in parts as ``weights`` are, which are not all 0; they add up to it exactly."""
    total, before, parts = sum(weights), 0, []
    so_far = 0
    for weight in weights:
        so_far += weight
        upto = amount * so_far // total
        parts.append(upto - before)
        before = upto
    return parts
