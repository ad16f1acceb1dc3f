"""The parent of several processes that are one gateway: the composition root where there is more than one.

It serves no request itself. It has what there may be only one of: the address, the embedded store, the watch of the
tier map, the folder where the processes' series come together, and the order in which all begin and end.
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
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Self

from gateway.checked_map import CheckedMap
from gateway.clock import SystemClock
from gateway.descriptors import allow_descriptors
from gateway.file_watch import FileWatch
from gateway.processes.crew import Assignments, Crew
from gateway.processes.member import PATIENCE, Patience
from gateway.processes.seat import Seat, child_command
from gateway.processes.sockets import listening
from gateway.reload import Reloader
from gateway.served import ServedMap
from gateway.settings import Settings, admin_digest
from gateway.store import open_store
from gateway.store.greeting import greet
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
        SettingsInvalid: A secret of the tier map cannot be read, or the admin key.
        OSError: The address cannot be listened on.
        StoreUnavailable: The embedded store cannot be started. (One elsewhere may come later.)
        ValueError: The store's URL is not one.
        ProcessFailed: A process could not begin to serve at the start. Later it is started again.
    """
    clock = SystemClock()
    log = Log(sys.stderr.buffer, clock, piece_bytes_max=select.PIPE_BUF)
    watch = FileWatch(*settings.map_files)
    checked = CheckedMap.of(tier_map, text)  # each process reads secrets again; what is missing is better told once
    served = ServedMap(generation=1, hash=checked.hash, loaded_unix=clock.unix())
    admin = admin_digest(settings)
    allow_descriptors(tier_map, log.event)
    url, data_directory = settings.store or tier_map.store, settings.state_directory / "store"
    async with open_store(url, data_directory=data_directory, report=log.event) as store:
        await greet(store, log.event)
        with (
            _folder() as folder,
            listening(settings.host, settings.port, settings.processes) as listeners,
            _Signals() as signals,
        ):
            assignments = Assignments(settings, checked, served, folder=folder, store=store, url=url, admin=admin)
            crew = Crew(assignments, log)
            reloader = Reloader(
                settings.map_files, checked, served, store=settings.store, server=crew, clock=clock, report=log.event
            )
            roster = Roster(Path(folder))
            crew.seats = [
                Seat(
                    number,
                    listener,
                    partial(assignments.of, number, listener),
                    asked=crew.asked,
                    command=child_command() if command is None else command,
                    roster=roster,
                    log=log,
                    patience=patience,
                    drain_seconds=settings.drain_seconds,
                )
                for number, listener in enumerate(listeners)
            ]
            announce = partial(_announce, log, listeners, checked)
            try:
                await _keep_serving(crew, signals, announce, reloader, watch)
            finally:
                await asyncio.gather(
                    _close(listeners, settings.drain_delay_seconds, signals.hurry),
                    *(seat.stop(settings.drain_delay_seconds, signals.hurry) for seat in crew.seats),
                )
        log.event("gateway.stopped")


def _announce(log: Log, listeners: Sequence[socket.socket], checked: CheckedMap) -> None:
    host, port = listeners[0].getsockname()[:2]
    tiers, processes = list(checked.tier_map.tiers), len(listeners)
    log.event("gateway.listening", host=host, port=port, tiers=tiers, tier_map=checked.hash, processes=processes)


async def _close(listeners: Sequence[socket.socket], delay_seconds: float, hurry: asyncio.Event) -> None:
    """Nobody is to wait for a process that does not come."""
    with suppress(TimeoutError):
        async with asyncio.timeout(delay_seconds):
            await hurry.wait()
    for listener in listeners:
        listener.close()


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


class _Signals:
    """What signals ask for, while in its context.

    Attributes:
        stop: Set by the first SIGTERM or SIGINT.
        hurry: Set by the second: open answers are to end at once.
        reload: Set by SIGHUP: the tier map is to be read again.
        restart: Set by SIGUSR2: the processes are to be replaced.
    """

    def __init__(self) -> None:
        self.stop, self.hurry, self.reload, self.restart = (asyncio.Event() for _ in range(4))
        self._taken = {signal.SIGHUP: self.reload.set, signal.SIGUSR2: self.restart.set}
        self._taken |= dict.fromkeys(_STOPPING, self._stop)

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number, take in self._taken.items():
            loop.add_signal_handler(number, take)
        return self

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in self._taken:
            loop.remove_signal_handler(number)

    def _stop(self) -> None:
        (self.hurry if self.stop.is_set() else self.stop).set()


async def _keep_serving(
    crew: Crew, signals: _Signals, announce: Callable[[], None], reloader: Reloader, watch: FileWatch
) -> None:
    """Let processes serve on all seats until a signal; ``announce`` is called once all do."""
    beginning, stopped = asyncio.ensure_future(_begin(crew.seats)), asyncio.ensure_future(signals.stop.wait())
    await asyncio.wait({beginning, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not beginning.done():
        beginning.cancel()
        await asyncio.gather(beginning, return_exceptions=True)
        return
    beginning.result()
    announce()
    async with asyncio.TaskGroup() as group:
        work = [group.create_task(seat.watch()) for seat in crew.seats]
        work.append(group.create_task(crew.run(partial(reloader.reload, "api"))))
        work.append(group.create_task(reloader.follow(watch)))
        work.append(group.create_task(_at(signals.reload, reloader.ask)))
        work.append(group.create_task(_restarts(signals.restart, crew)))
        await signals.stop.wait()
        for task in work:
            task.cancel()


async def _at(asked: asyncio.Event, do: Callable[[], None]) -> None:
    while True:
        await asked.wait()
        asked.clear()
        do()


async def _restarts(asked: asyncio.Event, crew: Crew) -> None:
    while True:
        await asked.wait()
        asked.clear()
        await crew.restart()


async def _begin(seats: Sequence[Seat]) -> None:
    """All at once; the first failure is that of the whole start."""
    try:
        async with asyncio.TaskGroup() as group:
            for seat in seats:
                group.create_task(seat.start())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
