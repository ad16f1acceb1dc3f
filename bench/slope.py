"""A straight line through samples: does something grow?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """Growth per unit of time by least squares, with its standard error."""

    per_unit: float
    error: float

    def flat(self, *, tolerance: float) -> bool:
        """Whether growth is no more than two standard errors, or no more than ``tolerance``."""
        return self.per_unit <= max(2 * self.error, tolerance)


def slope(times: Sequence[float], values: Sequence[float]) -> Slope:
    """The line through ``values`` at ``times``; at least three samples.

    Raises:
        ValueError: There are fewer samples.
    """
    count = len(times)
    if count < 3 or count != len(values):  # noqa: PLR2004 - two points leave no error to estimate
        raise ValueError(f"{count} samples tell nothing of growth")
    middle, mean = sum(times) / count, sum(values) / count
    spread = sum((time - middle) ** 2 for time in times)
    rise = sum((time - middle) * (value - mean) for time, value in zip(times, values, strict=True)) / spread
    rest = sum((value - mean - rise * (time - middle)) ** 2 for time, value in zip(times, values, strict=True))
    return Slope(per_unit=rise, error=math.sqrt(rest / (count - 2) / spread))
