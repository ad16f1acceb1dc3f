"""Counts what a process executes: valgrind's callgrind, switched on only for what is to be counted.

Callgrind sees every instruction of the process itself, none of the kernel's and none of its children's. Until it is
switched on, the process runs about as fast as under an emulator, which is why start-up takes seconds and not minutes.
"""

import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

TOOLS = ("valgrind", "callgrind_control")
REMEDY = "install valgrind (on Debian: apt-get install valgrind)"
COMMAND_SECONDS_MAX = 30.0
"""How long the process may take to obey one command."""

_SUMMARY = re.compile(r"^summary: (\d+)$", re.MULTILINE)


class CallgrindFailed(RuntimeError):
    """Nothing can be counted; the message says why and what helps."""


def require(which: Callable[[str], str | None]) -> None:
    """Look for the programs with ``which``; raises ``CallgrindFailed`` naming those that are missing."""
    missing = [tool for tool in TOOLS if which(tool) is None]
    if missing:
        raise CallgrindFailed(f"not found: {', '.join(missing)}; {REMEDY}")


def instructions_of(profile: str) -> int:
    """The instructions that one profile of callgrind's adds up to; raises ``CallgrindFailed`` where it does not say."""
    found = _SUMMARY.search(profile)
    if found is None:
        raise CallgrindFailed("callgrind's profile has no line 'summary: NUMBER'")
    return int(found[1])


class Callgrind:
    """One process under callgrind: ``command`` starts it, the rest needs its process id. Writes into ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._out = folder / "callgrind.out"
        # Pipes of its own: others under valgrind on this machine are not spoken to.
        self._pipes = f"--vgdb-prefix={folder / 'vgdb'}"
        self._dumps = 0

    def command(self, program: Sequence[str]) -> list[str]:
        """``program`` under callgrind, which counts nothing yet and leaves child processes alone."""
        return [
            "valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no", "--trace-children=no", self._pipes,
            f"--callgrind-out-file={self._out}", *program,
        ]  # fmt: skip

    def switch_on(self, pid: int) -> None:
        """Count from now on."""
        self._say(pid, "--instr=on")

    def count(self, pid: int, work: Callable[[], None]) -> tuple[int, Path]:
        """Instructions executed while ``work`` runs, and the profile of them."""
        self._say(pid, "--zero")
        work()
        self._say(pid, "--dump")
        self._dumps += 1
        profile = self._out.with_name(f"{self._out.name}.{self._dumps}")
        try:
            return instructions_of(profile.read_text(encoding="utf-8", errors="replace")), profile
        except OSError as error:
            raise CallgrindFailed(f"callgrind wrote no profile: {error}") from error

    def _say(self, pid: int, order: str) -> None:
        done = subprocess.run(
            ["callgrind_control", self._pipes, order, str(pid)],
            capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX, check=False,
        )  # fmt: skip
        if done.returncode:
            raise CallgrindFailed(f"callgrind_control {order} failed: {done.stdout}{done.stderr}")
