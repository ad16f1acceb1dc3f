"""One of several processes that are one gateway: ``python -m gateway.processes.child``, which only a parent starts.

Its standard input is the parent's: the assignment and later orders come there, and where it ends, the parent has ended,
also one that was killed; the child then stops as at SIGTERM. Its standard output is for its words to the parent.
"""

import os
import shutil
import signal
import socket
import sys
from pathlib import Path

import msgspec
import uvloop

from gateway.app import serve_in
from gateway.checked_map import read_map
from gateway.errors import StoreUnavailable
from gateway.parts import Place
from gateway.processes.assignment import Assignment, Word, read_assignment
from gateway.processes.parent_line import ParentLine
from gateway.settings import SettingsInvalid
from gateway.telemetry.shared import SharedSeries


def main() -> int:
    """Serve what the parent assigns; returns the exit status."""
    mouth = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what anybody prints is no word to the parent
    try:
        # The parent says no more until it is answered, so nothing of a later line is read here.
        assignment = read_assignment(sys.stdin.buffer.readline())
    except msgspec.DecodeError:
        return 1
    parent = ParentLine(sys.stdin.fileno(), mouth, tiers_file=assignment.tiers_file)
    try:
        uvloop.run(_serve(assignment, parent))
    except (OSError, SettingsInvalid, StoreUnavailable, ValueError) as error:
        if parent.told:
            raise
        parent.tell(Word(error=str(error)))
        return 1
    return 0


async def _serve(assignment: Assignment, parent: ParentLine) -> None:
    folder = Path(assignment.folder)
    place = Place(
        listener=socket.socket(fileno=assignment.listener),
        store_url=assignment.store_url,
        store_description=assignment.store_description,
        store_remedy=assignment.store_remedy,
        shared=SharedSeries(folder, assignment.file, process=assignment.process),
        tiers=assignment.tiers,
        served=assignment.served,
        rejected=assignment.rejected,
        admin_digest=assignment.admin_digest,
        ready=lambda: parent.tell(Word()),
        reload=parent.ask,
        hang_up=parent.ask_aloud,
        obey=parent.obey,
    )
    parent.listen(lambda: signal.raise_signal(signal.SIGTERM))
    try:
        await serve_in(place, assignment.settings, read_map(assignment.tiers, file=assignment.tiers_file))
    finally:
        parent.close()
        if parent.torn:
            shutil.rmtree(folder, ignore_errors=True)  # the parent cannot do it any more


if __name__ == "__main__":
    sys.exit(main())
