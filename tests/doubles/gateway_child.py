"""A stand-in for ``gateway.processes.child``: takes its assignment, says its word, and then behaves as it was told.

Run as a process with one or more arguments: the n-th start of a process takes the n-th, later ones the last. They are

- ``serve``: ends well at SIGTERM; ``stubborn``: ignores the first SIGTERM; ``deaf``: ignores each;
- ``die``: serves, and ends with status 5 a moment later; ``refuse``: says that it cannot serve;
- ``mute``: ends with status 7 before a word; ``slow``: never says a word;
- ``half``: refuses where its number is odd, serves otherwise;
- ``deny``: cannot prepare another tier map; ``dumb``: answers no order; ``ask``: asks for the tier map to be read

What it is told later is kept in the folder, in ``told-N``, one line each. Where it is told to leave it does.
"""

import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType


def _say(**word: str | bool) -> None:
    sys.stdout.write(json.dumps(word) + "\n")
    sys.stdout.flush()


class _Stubborn:
    """Takes the first SIGTERM for a mistake, and listens no longer."""

    def __init__(self, listener: int) -> None:
        self._listener = listener
        self._asked = False

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        if self._asked:
            sys.exit(0)
        self._asked = True
        os.close(self._listener)


def main() -> int:
    assignment = json.loads(sys.stdin.readline())
    starts = Path(assignment["folder"]) / f"starts-{assignment['process']}"
    behaviours = sys.argv[1:]
    with suppress(FileNotFoundError), starts.open("a") as counted:
        counted.write("x")
    started = starts.stat().st_size if starts.exists() else len(behaviours)
    behaviour = behaviours[min(started, len(behaviours)) - 1]
    if behaviour == "mute":
        return 7
    if behaviour == "refuse" or (behaviour == "half" and assignment["process"] % 2):
        _say(error="no, thank you")
        return 1
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, _Stubborn(assignment["listener"]))
    elif behaviour == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if behaviour != "slow":
        _say()
    if behaviour == "die":
        time.sleep(0.05)
        return 5
    if behaviour == "ask":
        _say(asks=True)
    _obey(behaviour, Path(assignment["folder"]) / f"told-{assignment['process']}")
    return 0


def _obey(behaviour: str, told: Path) -> None:
    """Do what the parent says; its end is the end of this, whatever it was told."""
    for line in sys.stdin:
        with told.open("a") as kept:
            kept.write(line)
        order = json.loads(line)["type"]
        if order == "leave" and behaviour != "stubborn":
            return
        if order in {"prepare", "swap"} and behaviour != "dumb":
            _say(error="not that one") if behaviour == "deny" and order == "prepare" else _say()


if __name__ == "__main__":
    os._exit(main())
