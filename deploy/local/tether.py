"""Tie a process to its parent: where the kernel can do it, it ends when the parent does, in whatever way.

Run as a script (``python tether.py PARENT_PID PROGRAM ARGUMENT…``) this ties itself and then becomes the
program. That is a process of its own rather than a ``preexec_fn``, because code between fork and exec is
unsafe in a program with threads; the tie survives ``exec``.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Sequence

_PR_SET_PDEATHSIG = 1
PARENT_GONE_STATUS = 125
CANNOT_RUN_STATUS = 127


def tie(parent_pid: int, death_signal: signal.Signals) -> bool:
    """Have the kernel send ``death_signal`` to this process when its parent dies; does nothing but on Linux.

    Returns:
        Whether ``parent_pid`` is still the parent: it may have died before the tie was made.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    return os.getppid() == parent_pid


def main(
    arguments: Sequence[str],
    *,
    bind: Callable[[int, signal.Signals], bool] = tie,
    become: Callable[[str, list[str]], object] = os.execv,
) -> int:
    """Tie this process to its parent, then become the program; returns only where that fails."""
    parent_pid, program, *rest = arguments
    if not bind(int(parent_pid), signal.SIGTERM):
        return PARENT_GONE_STATUS
    try:
        become(program, [program, *rest])
    except OSError as error:
        sys.stderr.write(f"cannot run {program}: {error.strerror}\n")
    return CANNOT_RUN_STATUS


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
