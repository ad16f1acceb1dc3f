"""When a budget is spent to a part of its limit.

What counts is what is settled: what is only held may come back, and an alert cannot be taken back.
"""

from collections.abc import Sequence

_WHOLE = 100


def reached(at: Sequence[int], *, settled: int, limit: int) -> tuple[int, ...]:
    """Those of ``at``, parts in percent, to which ``settled`` of ``limit`` is spent, in their order."""
    return tuple(percent for percent in at if settled * _WHOLE >= limit * percent)
