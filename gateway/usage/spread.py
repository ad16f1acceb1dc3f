"""Quantiles of many durations in little memory."""

import math
from typing import Final

ERROR: Final = 0.01
"""How far a quantile may be off, as a part of it."""
_BASE: Final = math.log((1 + ERROR) / (1 - ERROR))
_LEAST_SECONDS: Final = 1e-6
"""What is shorter counts as this: records know whole microseconds."""


class Spread:
    """Durations, counted in buckets whose borders grow by a factor: some 1,500 of them reach from a microsecond to
    years, however many durations there are.
    """

    __slots__ = ("_buckets", "_count")

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self._count = 0

    def add(self, seconds: float) -> None:
        """Count one."""
        bucket = math.ceil(math.log(max(seconds, _LEAST_SECONDS)) / _BASE)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        self._count += 1

    def quantile(self, part: float) -> float | None:
        """The duration that ``part`` of them do not exceed, within ``ERROR``; ``None`` where there are none."""
        if not self._count:
            return None
        rank, passed = max(1, math.ceil(part * self._count)), 0
        for bucket in sorted(self._buckets):
            passed += self._buckets[bucket]
            if passed >= rank:
                break
        return round(math.exp(bucket * _BASE) * (1 - ERROR), 6)
