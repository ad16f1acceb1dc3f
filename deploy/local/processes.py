"""Child processes that never outlive the command that started them.

Each child has a session of its own, so that Ctrl-C at the terminal reaches only the command, which then stops
the children in order; and each is tied to it (``deploy.local.tether``), so that they end even when the
command is killed.
"""

import asyncio
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from deploy.errors import ProcessDied
from deploy.local import tether

LOG_TAIL_LINES = 20
LOG_TAIL_BYTES_MAX = 64 * 1024
_DEATH_SECONDS = 0.5


class Child:
    """One running child process.

    Attributes:
        name: Its name in messages and of its log.
        log: The file with what it prints.
        started_at: When it was started, by the event loop's clock.
    """

    def __init__(self, name: str, log: Path, process: asyncio.subprocess.Process, *, started_at: float) -> None:
        self.name = name
        self.log = log
        self.started_at = started_at
        self.process = process
        self._swept = False

    async def ended(self) -> int:
        """Wait until the child has ended and end what it left behind; returns its exit status."""
        status = await self.process.wait()
        if not self._swept:
            # The child led its session's only process group: whatever it started and did not stop is in
            # there. Done at once and only once, as long as no other process can have got the number.
            self._swept = True
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        return status

    async def stop(self, grace_seconds: float) -> None:
        """End the child and what it started: ask with SIGTERM, force it after ``grace_seconds``."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            async with asyncio.timeout(grace_seconds):
                await self.ended()
        except TimeoutError:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.ended()


class Fleet:
    """The children of one command. Made by ``fleet``, which stops them all."""

    def __init__(self, *, logs: Path, grace_seconds: float, group: asyncio.TaskGroup) -> None:
        self._logs = logs
        self._grace_seconds = grace_seconds
        self._group = group
        self._children: list[Child] = []
        self._watchers: list[asyncio.Task[None]] = []

    async def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Child:
        """Start a child that has to run until the fleet is stopped; its output goes to ``<logs>/<name>.log``.

        If it ends before, the block of ``fleet`` is cancelled and ends with ``ProcessDied``.
        """
        log = self._logs / f"{name}.log"
        started_at = asyncio.get_running_loop().time()
        tied = (sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *command)
        with _new_log(log) as output:
            process = await asyncio.create_subprocess_exec(
                *tied,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(environment),
                start_new_session=True,
            )
        child = Child(name, log, process, started_at=started_at)
        self._children.append(child)
        self._watchers.append(self._group.create_task(_watch(child)))
        return child

    async def wait_for_death(self, seconds_max: float) -> None:
        """Wait until a child has ended by itself, at most ``seconds_max``.

        Who talks to a child often sees its end before the system tells of it, and the end explains more.
        """
        if self._watchers:
            await asyncio.wait(self._watchers, timeout=seconds_max, return_when=asyncio.FIRST_COMPLETED)

    async def stop(self) -> None:
        """Stop every child, the latest first; a child that ends now is no longer a surprise."""
        for watcher in self._watchers:
            watcher.cancel()
        for child in reversed(self._children):
            await child.stop(self._grace_seconds)


@asynccontextmanager
async def fleet(*, logs: Path, grace_seconds: float) -> AsyncIterator[Fleet]:
    """A fleet whose children are all stopped when the block is left, whichever way.

    Raises:
        ProcessDied: A started child ended while the block ran; the block was cancelled where it was.
    """
    try:
        async with asyncio.TaskGroup() as group:
            made = Fleet(logs=logs, grace_seconds=grace_seconds, group=group)
            try:
                yield made
            except Exception:
                await made.wait_for_death(_DEATH_SECONDS)
                raise
            finally:
                await _uninterrupted(made.stop())
    except BaseExceptionGroup as several:
        # The group is only how the block gets cancelled; its first error is the cause of any others.
        raise several.exceptions[0] from None


def log_tail(log: Path, lines: int = LOG_TAIL_LINES) -> str:
    """The last ``lines`` lines of a log file, of at most its last 64 KiB; empty if there is no such file."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_TAIL_BYTES_MAX))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(deque(text.splitlines(), maxlen=lines))


def describe_status(status: int) -> str:
    """An exit status in words: asyncio gives the number of a signal as a negative one."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def _new_log(log: Path) -> BinaryIO:
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.open("wb")


async def _watch(child: Child) -> None:
    status = await child.ended()
    raise ProcessDied(
        f"{child.name} ended by itself ({describe_status(status)})",
        remedy=f"its log {child.log} says why; mend that and start again",
        log_tail=log_tail(child.log),
    )


async def _uninterrupted(work: Coroutine[None, None, None]) -> None:
    """Await ``work`` to its end even if this task is cancelled meanwhile; that is then passed on."""
    task = asyncio.get_running_loop().create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled
