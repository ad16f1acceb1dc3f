"""How many jobs at once this worker can hold: as many as it is allowed, and one at a time where memory is short."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

SCARCE: Final = 0.1
"""Of the memory that the worker may use: where less is left, no more jobs are taken beside those under way."""
_LIMIT: Final = "memory.max"
_USED: Final = "memory.current"


def room(at_once: int, cgroup: Path = Path("/sys/fs/cgroup")) -> Callable[[int], int]:
    """Says how many jobs there may be, each time that it is asked; whatever there are now does not matter.

    The figure changes seldom, on purpose: Runpod's SDK takes no job from a change on until those under way have ended.
    """

    def places(_now: int) -> int:
        return 1 if _left(cgroup) < SCARCE else at_once

    return places


def _left(cgroup: Path) -> float:
    """The part of the container's memory that is left; 1 where it has no limit of its own."""
    try:
        limit, used = (int((cgroup / name).read_text(encoding="ascii")) for name in (_LIMIT, _USED))
    except (OSError, ValueError):
        return 1.0
    return max(0.0, 1 - used / limit)
