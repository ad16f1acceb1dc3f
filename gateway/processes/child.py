"""One of several processes that are one gateway: ``python -m gateway.processes.child``, which only a parent starts.

Its standard input is the parent's: the assignment comes there, and where it ends, the parent has ended, also one that
was killed; the child then stops as at SIGTERM. Its standard output is for one word to the parent.
"""

import asyncio
import os
import shutil
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
import uvloop

from gateway.app import Place, serve_in
from gateway.errors import StoreUnavailable
from gateway.processes.assignment import Assignment, Word, encoded, read_assignment
from gateway.settings import SettingsInvalid
from gateway.telemetry.shared import SharedSeries
from tiers.load import load

_READ_BYTES = 4096


def main() -> int:
    """Serve what the parent assigns; returns the exit status."""
    mouth = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what anybody prints is no word to the parent
    try:
        assignment = read_assignment(sys.stdin.buffer.readline())
    except msgspec.DecodeError:
        return 1
    parent = _Parent(mouth)
    try:
        uvloop.run(_serve(assignment, parent))
    except (OSError, SettingsInvalid, StoreUnavailable, ValueError) as error:
        if parent.told:
            raise
        parent.tell(Word(error=str(error)))
        return 1
    return 0


class _Parent:
    """Who is told once whether this process serves; ``told`` says whether that was done."""

    def __init__(self, mouth: int) -> None:
        self.told = False
        self._mouth = mouth

    def tell(self, word: Word) -> None:
        """Say it. A parent that is gone does not hear it, which the tether notices."""
        self.told = True
        with suppress(OSError):
            os.write(self._mouth, encoded(word))
            os.close(self._mouth)


async def _serve(assignment: Assignment, parent: _Parent) -> None:
    folder = Path(assignment.folder)
    place = Place(
        listener=socket.socket(fileno=assignment.listener),
        store_url=assignment.store_url,
        store_description=assignment.store_description,
        store_remedy=assignment.store_remedy,
        shared=SharedSeries(folder, assignment.file, process=assignment.process),
        ready=lambda: parent.tell(Word()),
    )
    tether = _Tether(sys.stdin.fileno())
    try:
        await serve_in(place, assignment.settings, load(assignment.tiers, file=assignment.tiers_file))
    finally:
        tether.close()
        if tether.torn:
            shutil.rmtree(folder, ignore_errors=True)  # the parent cannot do it any more


class _Tether:
    """Stops this process when its parent ends; ``torn`` says whether it did."""

    def __init__(self, descriptor: int) -> None:
        self.torn = False
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor, self._on_readable)

    def close(self) -> None:
        """Watch no longer."""
        self._loop.remove_reader(self._descriptor)

    def _on_readable(self) -> None:
        if not os.read(self._descriptor, _READ_BYTES):
            self.torn = True
            self.close()
            signal.raise_signal(signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
