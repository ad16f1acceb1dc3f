"""One listening socket and the process that serves it: started, watched, started again when it dies, stopped.

The socket stays open here, so connections that come while no process serves it wait for the next one.
"""

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from gateway.processes.assignment import Assignment, Word, encoded, read_word
from gateway.telemetry.log import Log
from gateway.telemetry.shared import Roster

_NOWHERE = "unlisted"
"""A file of series that nobody reads."""


class ProcessFailed(Exception):
    """A process could not begin to serve; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the parent waits for a process, in seconds."""

    start: float = 60.0
    """From its start until it serves."""
    stop: float = 10.0
    """For its end, beyond the time that open answers have; and again after it was told to end at once."""
    backoff: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
    """Before one that died is started again; the last one is repeated."""
    steady: float = 30.0
    """A process that lived as long had a good start: the next wait is the first one again."""


PATIENCE = Patience()


class Seat:
    """The place of one process, which ``command`` starts.

    ``assign`` says what the process is to do, given the name of its file of series.
    """

    def __init__(
        self,
        number: int,
        listener: socket.socket,
        assign: Callable[[str], Assignment],
        *,
        command: Sequence[str],
        roster: Roster,
        log: Log,
        patience: Patience,
    ) -> None:
        self._number = number
        self._listener = listener
        self._assign = assign
        self._command = command
        self._roster = roster
        self._log = log
        self._patience = patience
        self._process: asyncio.subprocess.Process | None = None
        self._file = ""

    async def start(self) -> asyncio.subprocess.Process:
        """Start a process and wait until it serves; raises ``ProcessFailed`` if it does not."""
        self._file = self._enter()
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=(self._listener.fileno(),),
                # Ctrl-C in a terminal goes to a whole process group; it is the parent who tells its children to stop.
                start_new_session=True,
            )
        except OSError as error:
            raise ProcessFailed(f"process {self._number} cannot be started: {error}") from error
        word = await self._word_of(process)
        if word.error:
            raise ProcessFailed(word.error)
        self._log.event("process.started", process=self._number, pid=process.pid)
        return process

    async def watch(self, process: asyncio.subprocess.Process) -> None:
        """Start a process again whenever the last one ended; returns only by cancellation."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            started = loop.time()
            status = await process.wait()
            if loop.time() - started > self._patience.steady:
                failures = 0
            self._log.event("process.died", process=self._number, pid=process.pid, exit_status=status)
            process, failures = await self._start_again(failures)

    async def _word_of(self, process: asyncio.subprocess.Process) -> Word:
        # Both are pipes, as `start` asked.
        said, told = cast("asyncio.StreamReader", process.stdout), cast("asyncio.StreamWriter", process.stdin)
        try:
            async with asyncio.timeout(self._patience.start):
                with suppress(ConnectionError):  # it has ended already: then its word is missing, too
                    told.write(encoded(self._assign(self._file)))
                    await told.drain()
                word = read_word(await said.readline())
                if word is None:
                    status = await process.wait()
                    raise ProcessFailed(f"process {self._number} ended with status {status} before it served")
                return word
        except TimeoutError as error:
            raise ProcessFailed(
                f"process {self._number} did not begin to serve within {self._patience.start:g} seconds"
            ) from error

    async def _start_again(self, failures: int) -> tuple[asyncio.subprocess.Process, int]:
        """Start until it works; returns the process and ``failures`` with the new ones."""
        waits = self._patience.backoff
        while True:
            self._leave()
            await asyncio.sleep(waits[min(failures, len(waits) - 1)])
            failures += 1
            try:
                return await self.start(), failures
            except ProcessFailed as error:
                self._log.event("process.start_failed", process=self._number, error=str(error))
                await self._end(signal.SIGKILL, self._patience.stop)

    async def stop(self, drain_seconds: float, hurry: asyncio.Event) -> None:
        """End the process: first so that open answers may end, at once when ``hurry`` is set, then by force."""
        if await self._end(signal.SIGTERM, drain_seconds + self._patience.stop, hurry):
            return
        if not await self._end(signal.SIGTERM, self._patience.stop):
            await self._end(signal.SIGKILL, self._patience.stop)

    async def _end(self, sign: signal.Signals, seconds_max: float, hurry: asyncio.Event | None = None) -> bool:
        """Send ``sign``; returns whether the process ended within ``seconds_max`` and before ``hurry``."""
        process = self._process
        if process is None or process.returncode is not None:
            return True
        with suppress(ProcessLookupError):
            process.send_signal(sign)
        ends = [asyncio.ensure_future(process.wait())]
        if hurry is not None:
            ends.append(asyncio.ensure_future(_set(hurry)))
        try:
            await asyncio.wait(ends, timeout=seconds_max, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
        return process.returncode is not None

    def _enter(self) -> str:
        """The name of a new process's file of series."""
        try:
            return self._roster.begin(self._number)
        except OSError as error:
            self._lost(error)
            return _NOWHERE

    def _leave(self) -> None:
        """What the process has counted is taken over."""
        try:
            self._roster.end(self._file)
        except OSError as error:
            self._lost(error)

    def _lost(self, error: OSError) -> None:
        """A gateway serves also where its series cannot be kept."""
        self._log.event("process.series_lost", process=self._number, error=str(error))


def child_command() -> list[str]:
    """What starts a child from this very program: ``-m`` looks into the current folder first, unless ``-P``."""
    found_here = bool(sys.path) and Path(sys.path[0]) == Path.cwd()
    return [sys.executable, *([] if found_here else ["-P"]), "-m", "gateway.processes.child"]


async def _set(event: asyncio.Event) -> int:
    await event.wait()
    return 0
