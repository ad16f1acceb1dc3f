"""One embedded store per data directory, on this machine."""

import asyncio
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import StoreUnavailable

_POLL_SECONDS = 0.05
_RUN_PREFIX = "tiergate-"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedDirectory:
    """A data directory that is ours; ``run`` is a passing folder with a path short enough for a socket."""

    data: Path
    run: Path
    lock: int
    """The lock's file descriptor. The server inherits it, so that the lock lasts as long as the server."""


@asynccontextmanager
async def locked_directory(data: Path, *, wait_seconds: float) -> AsyncIterator[LockedDirectory]:
    """Create ``data`` if need be and own it until the end; what a killed gateway left behind is cleared away.

    Raises:
        StoreUnavailable: Another gateway owns it, or it cannot be written; the message says what to do.
    """
    lock = _open(data)
    try:
        await _acquire(lock, data, wait_seconds)
        _clear_run_folder(lock)
        run = Path(tempfile.mkdtemp(prefix=_RUN_PREFIX))
        try:
            _write_note(lock, run)
            yield LockedDirectory(data=data, run=run, lock=lock)
        finally:
            shutil.rmtree(run, ignore_errors=True)
    finally:
        os.close(lock)


def _open(data: Path) -> int:
    try:
        data.mkdir(parents=True, exist_ok=True)
        return os.open(data / "gateway.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnavailable(f"The store's data directory {data} cannot be used: {error}.") from error


async def _acquire(lock: int, data: Path, wait_seconds: float) -> None:
    loop = asyncio.get_running_loop()
    give_up = loop.time() + wait_seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if loop.time() >= give_up:
                owner = _read_note(lock).get("gateway", "unknown")
                raise StoreUnavailable(
                    f"Another gateway (process {owner}) or the store that it started still uses {data}. Stop"
                    " it, give this gateway another data directory, or let both share one Valkey or Redis"
                    " (store: redis://HOST:6379/0 in the tier map)."
                ) from None
            await asyncio.sleep(_POLL_SECONDS)
        else:
            return


def _read_note(lock: int) -> dict[str, str]:
    try:
        note = json.loads(os.pread(lock, 4096, 0))
    except ValueError:
        return {}
    return {str(k): str(v) for k, v in note.items()} if isinstance(note, dict) else {}


def _write_note(lock: int, run: Path) -> None:
    os.ftruncate(lock, 0)
    os.pwrite(lock, json.dumps({"gateway": os.getpid(), "run": str(run)}).encode(), 0)


def _clear_run_folder(lock: int) -> None:
    """Remove the run folder of a gateway that was killed before it could do so itself."""
    run = Path(_read_note(lock).get("run", ""))
    # The note is only a file: nothing but a run folder of ours may be removed on its word.
    if run.name.startswith(_RUN_PREFIX) and run.parent == Path(tempfile.gettempdir()):
        shutil.rmtree(run, ignore_errors=True)
