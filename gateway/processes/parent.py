"""The parent of several processes that are one gateway: the composition root where there is more than one.

It serves no request itself. It has what there may be only one of: the address, the embedded store, the folder where
the processes' series come together, and the order in which all begin and end.
"""

import asyncio
import fcntl
import os
import select
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Self
from urllib.parse import quote

from gateway.clock import SystemClock
from gateway.descriptors import allow_descriptors
from gateway.processes.assignment import Assignment
from gateway.processes.seat import PATIENCE, Patience, Seat, child_command
from gateway.processes.sockets import listening
from gateway.settings import Settings, read_secrets, secret_references
from gateway.store import Store, open_store
from gateway.store.greeting import greet
from gateway.store.opening import EMBEDDED
from gateway.telemetry.log import Log
from gateway.telemetry.shared import Roster
from tiers.tiermap import TierMap

_FOLDER_PREFIX = "tiergate-series-"
_STOPPING = (signal.SIGTERM, signal.SIGINT)


async def serve_with_processes(
    settings: Settings,
    tier_map: TierMap,
    text: bytes,
    *,
    command: Sequence[str] | None = None,
    patience: Patience = PATIENCE,
) -> None:
    """Let ``settings.processes`` processes serve until SIGTERM or SIGINT, then let open answers end.

    ``text`` is what the tier map was read from; the processes get it and not the file, which may change. ``command``
    starts each of them, with ``gateway.processes.child`` unless told.

    Raises:
        SettingsInvalid: A secret of the tier map cannot be read.
        OSError: The address cannot be listened on.
        StoreUnavailable: The embedded store cannot be started. (One elsewhere may come later.)
        ValueError: The store's URL is not one.
        ProcessFailed: A process could not begin to serve at the start. Later it is started again.
    """
    log = Log(sys.stderr.buffer, SystemClock(), piece_bytes_max=select.PIPE_BUF)
    read_secrets(secret_references(tier_map))  # each process reads them again; what is missing is better told once
    allow_descriptors(tier_map, log.event)
    url, data_directory = settings.store or tier_map.store, settings.state_directory / "store"
    async with open_store(url, data_directory=data_directory, report=log.event) as store:
        await greet(store, log.event)
        with (
            _folder() as folder,
            listening(settings.host, settings.port, settings.processes) as listeners,
            _Signals() as signals,
        ):
            assignments = _Assignments(settings, text, folder=folder, store=store, url=url)
            roster = Roster(Path(folder))
            seats = [
                Seat(
                    number,
                    listener,
                    partial(assignments.of, number, listener),
                    command=child_command() if command is None else command,
                    roster=roster,
                    log=log,
                    patience=patience,
                )
                for number, listener in enumerate(listeners)
            ]
            host, port = listeners[0].getsockname()[:2]
            announce = partial(
                log.event, "gateway.listening", host=host, port=port, tiers=list(tier_map.tiers), processes=len(seats)
            )
            try:
                await _keep_serving(seats, signals, announce)
            finally:
                for listener in listeners:
                    listener.close()  # nobody is to wait for a process that does not come
                await asyncio.gather(*(seat.stop(settings.drain_seconds, signals.hurry) for seat in seats))
        log.event("gateway.stopped")


@contextmanager
def _folder() -> Iterator[str]:
    """A folder of this process's own until the end; what is left of it is removed."""
    with tempfile.TemporaryDirectory(prefix=_FOLDER_PREFIX, ignore_cleanup_errors=True) as folder:
        held = os.open(folder, os.O_RDONLY)
        try:
            # Programs that clear old temporary files away pass over a folder that somebody has locked.
            fcntl.flock(held, fcntl.LOCK_EX)
            yield folder
        finally:
            os.close(held)


class _Assignments:
    """What the processes are told: the same to each, but for its number, its socket and its file."""

    def __init__(self, settings: Settings, text: bytes, *, folder: str, store: Store, url: str) -> None:
        self._settings = settings
        self._text = text
        self._folder = folder
        self._store = store
        # The embedded store is this process's; where it is, its client knows.
        path = store.client.connection_pool.connection_kwargs["path"] if url == EMBEDDED else ""
        self._url = f"unix://{quote(path)}" if path else url

    def of(self, number: int, listener: socket.socket, file: str) -> Assignment:
        """For the process with this number; ``file`` is where it writes its series."""
        return Assignment(
            process=number,
            listener=listener.fileno(),
            folder=self._folder,
            file=file,
            store_url=self._url,
            store_description=self._store.description,
            store_remedy=self._store.remedy,
            tiers_file=str(self._settings.tiers_file),
            tiers=self._text,
            state_directory=str(self._settings.state_directory),
            body_bytes_max=self._settings.body_bytes_max,
            drain_seconds=self._settings.drain_seconds,
        )


class _Signals:
    """What SIGTERM and SIGINT ask for, while in its context.

    Attributes:
        stop: Set by the first of them.
        hurry: Set by the second: open answers are to end at once.
    """

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in _STOPPING:
            loop.add_signal_handler(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in _STOPPING:
            loop.remove_signal_handler(number)

    def _take(self) -> None:
        (self.hurry if self.stop.is_set() else self.stop).set()


async def _keep_serving(seats: Sequence[Seat], signals: _Signals, announce: Callable[[], None]) -> None:
    """Let processes serve on all seats until a signal; ``announce`` is called once all do."""
    beginning, stopped = asyncio.ensure_future(_begin(seats)), asyncio.ensure_future(signals.stop.wait())
    await asyncio.wait({beginning, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not beginning.done():
        beginning.cancel()
        await asyncio.gather(beginning, return_exceptions=True)
        return
    processes = beginning.result()
    announce()
    async with asyncio.TaskGroup() as group:
        watches = [group.create_task(seat.watch(process)) for seat, process in zip(seats, processes, strict=True)]
        await signals.stop.wait()
        for watch in watches:
            watch.cancel()


async def _begin(seats: Sequence[Seat]) -> list[asyncio.subprocess.Process]:
    """All at once; the first failure is that of the whole start."""
    try:
        async with asyncio.TaskGroup() as group:
            starts = [group.create_task(seat.start()) for seat in seats]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [start.result() for start in starts]
