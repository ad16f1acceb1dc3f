"""One listening socket and the process that serves it: started, watched, started again when it dies, replaced, stopped.

The socket stays open here, so connections that come while no process serves it wait for the next one.
"""

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from gateway.processes.assignment import Assignment, Leave
from gateway.processes.member import Member, Patience, ProcessFailed
from gateway.telemetry.log import Log
from gateway.telemetry.shared import Roster

_NOWHERE = "unlisted"
"""A file of series that nobody reads."""


class Seat:
    """The place of one process, which ``command`` starts.

    ``assign`` says what the process is to do, given the name of its file of series. ``asked`` is called when a process
    asks for the tier map to be read again.

    Attributes:
        member: The process that serves; ``None`` while none does.
    """

    def __init__(
        self,
        number: int,
        listener: socket.socket,
        assign: Callable[[str], Assignment],
        *,
        asked: Callable[[Member], None],
        command: Sequence[str],
        roster: Roster,
        log: Log,
        patience: Patience,
        drain_seconds: float,
    ) -> None:
        """``drain_seconds``: how long a process's open answers may go on when it is to end."""
        self.member: Member | None = None
        self._number = number
        self._listener = listener
        self._assign = assign
        self._asked = asked
        self._command = command
        self._roster = roster
        self._log = log
        self._patience = patience
        self._drain_seconds = drain_seconds
        self._starting: Member | None = None
        self._leaving: dict[Member, asyncio.Task[None]] = {}
        self._started_at = 0.0
        self._changed = asyncio.Event()
        """Another process serves than a moment ago."""
        self._one_at_a_time = asyncio.Lock()

    async def start(self) -> Member:
        """Start a process and wait until it serves; raises ``ProcessFailed`` if it does not."""
        file = self._enter()
        try:
            member = self._starting = await Member.started(
                self._number, self._command, self._listener.fileno(), file=file, patience=self._patience
            )
            await member.begin(self._assign(file), self._asked)
        except ProcessFailed:
            if self._starting is not None:
                await self._starting.kill()
            self._starting = None
            self._leave(file)
            raise
        self._starting, self.member = None, member
        self._started_at = asyncio.get_running_loop().time()
        self._log.event("process.started", process=self._number, pid=member.pid)
        return member

    async def watch(self) -> None:
        """Start a process again whenever the last one ended by itself; returns only by cancellation."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            member = self.member
            if member is None:
                failures = await self._start_again(failures)
                continue
            if not await member.ended(None, self._changed):
                self._changed.clear()
                continue
            if member is not self.member:
                continue
            status, self.member = member.returncode, None
            if loop.time() - self._started_at > self._patience.steady:
                failures = 0
            self._log.event("process.died", process=self._number, pid=member.pid, exit_status=status)
            self._leave(member.file)

    async def replace(self) -> None:
        """Let another process take the place of the one that serves, which ends when its open answers have.

        Both accept connections for a moment, so that none waits or is refused.

        Raises:
            ProcessFailed: The new one does not begin to serve; then the old one stays.
        """
        async with self._one_at_a_time:
            before = self.member
            member = await self.start()
        self._changed.set()
        self._log.event(
            "process.replaced", process=self._number, pid=member.pid, before=None if before is None else before.pid
        )
        if before is not None and before.returncode is None:
            before.tell(Leave())
            self._leaving[before] = asyncio.get_running_loop().create_task(self._see_off(before))

    async def stop(self, delay_seconds: float, hurry: asyncio.Event) -> None:
        """End all processes: first so that open answers may end, at once when ``hurry`` is set, then by force.

        They accept connections for ``delay_seconds`` more.
        """
        seconds = delay_seconds + self._drain_seconds + self._patience.stop
        ends = []
        for member, seeing_off in self._leaving.items():
            seeing_off.cancel()
            ends.append(member.see_off(seconds, hurry))
        if self._starting is not None:
            ends.append(self._starting.kill())
        if self.member is not None:
            self.member.signal(signal.SIGTERM)
            ends.append(self.member.see_off(seconds, hurry))
        await asyncio.gather(*ends, *self._leaving.values(), return_exceptions=True)

    async def _see_off(self, member: Member) -> None:
        await member.see_off(self._drain_seconds + self._patience.stop, asyncio.Event())
        del self._leaving[member]
        self._leave(member.file)

    async def _start_again(self, failures: int) -> int:
        """Start once, after a wait; returns ``failures`` with the new one."""
        waits = self._patience.backoff
        await asyncio.sleep(waits[min(failures, len(waits) - 1)])
        async with self._one_at_a_time:
            if self.member is None:
                try:
                    await self.start()
                except ProcessFailed as error:
                    self._log.event("process.start_failed", process=self._number, error=str(error))
        return failures + 1

    def _enter(self) -> str:
        """The name of a new process's file of series."""
        try:
            return self._roster.begin(self._number)
        except OSError as error:
            self._lost(error)
            return _NOWHERE

    def _leave(self, file: str) -> None:
        """What the process with this file has counted is taken over."""
        try:
            self._roster.end(file)
        except (OSError, msgspec.MsgspecError) as error:
            self._lost(error)

    def _lost(self, error: Exception) -> None:
        """A gateway serves also where its series cannot be kept."""
        self._log.event("process.series_lost", process=self._number, error=str(error))


def child_command() -> list[str]:
    """What starts a child from this very program: ``-m`` looks into the current folder first, unless ``-P``."""
    found_here = bool(sys.path) and Path(sys.path[0]) == Path.cwd()
    return [sys.executable, *([] if found_here else ["-P"]), "-m", "gateway.processes.child"]
