"""Equal values of many tiers kept once.

Most tiers of a map have the same timeouts, and many the same price. A gateway reads them with every request: one value
for all of them is in the processor's cache, two hundred are not.
"""

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from tiers.tiermap import Tier

Value = TypeVar("Value", bound=Hashable)


def shared(tiers: Mapping[str, Tier]) -> dict[str, Tier]:
    """The same tiers; what is equal in several of them is one object."""
    kept = _Kept()
    return {
        name: replace(
            tier,
            model=kept.one(tier.model),
            price=kept.one(tier.price),
            queue=kept.one(tier.queue),
            timeouts=kept.one(tier.timeouts),
            retry=kept.one(tier.retry),
            breaker=kept.one(tier.breaker),
            endpoints=tuple(replace(one, timeouts=kept.one(one.timeouts)) for one in tier.endpoints),
        )
        for name, tier in tiers.items()
    }


class _Kept:
    """The first of all values that are equal and of one type."""

    def __init__(self) -> None:
        self._values: dict[tuple[type, Hashable], Any] = {}

    def one(self, value: Value) -> Value:
        """The first that is equal to ``value``."""
        first: Value = self._values.setdefault((type(value), value), value)
        return first
