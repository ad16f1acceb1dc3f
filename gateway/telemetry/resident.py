"""How much memory this process has."""

import os
from pathlib import Path

_STATM = Path("/proc/self/statm")
_RESIDENT_FIELD = 1


def resident_bytes(statm: Path = _STATM) -> int | None:
    """Resident memory in bytes, shared pages included, by the kernel's ``statm``; ``None`` where there is none."""
    try:
        pages = int(statm.read_bytes().split()[_RESIDENT_FIELD])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
