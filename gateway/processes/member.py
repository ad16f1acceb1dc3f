"""One process that was started: what is said to it, what it says, and its end."""

import asyncio
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from gateway.processes.assignment import Assignment, Order, Word, encoded, read_word


class ProcessFailed(Exception):
    """A process could not begin to serve, or does not do what it is told; the message says why."""


class ProcessEnded(ProcessFailed):
    """It has ended, and says nothing any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the parent waits for a process, in seconds."""

    start: float = 60.0
    """From its start until it serves."""
    stop: float = 10.0
    """For its end, beyond the time that open answers have; and again after it was told to end at once."""
    order: float = 30.0
    """For its answer to an order."""
    backoff: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
    """Before one that died is started again; the last one is repeated."""
    steady: float = 30.0
    """A process that lived as long had a good start: the next wait is the first one again."""


PATIENCE = Patience()


class Member:
    """One process of the gateway.

    Attributes:
        file: Its file of series.
        generation: Of the tier map that it serves.
    """

    def __init__(self, number: int, process: asyncio.subprocess.Process, *, file: str, patience: Patience) -> None:
        self.file = file
        self.generation = 0
        self._number = number
        self._process = process
        self._patience = patience
        # Both are pipes, as `started` asked.
        self._said = cast("asyncio.StreamReader", process.stdout)
        self._told = cast("asyncio.StreamWriter", process.stdin)
        self._answers: deque[asyncio.Future[Word]] = deque()
        self._listening: asyncio.Task[None] | None = None

    @classmethod
    async def started(
        cls, number: int, command: Sequence[str], listener: int, *, file: str, patience: Patience
    ) -> "Member":
        """Start the process with this number, which inherits the file descriptor ``listener``."""
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=(listener,),
                # Ctrl-C in a terminal goes to a whole process group; it is the parent who tells its children to stop.
                start_new_session=True,
            )
        except OSError as error:
            raise ProcessFailed(f"process {number} cannot be started: {error}") from error
        return cls(number, process, file=file, patience=patience)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit status, negative for a signal; ``None`` while it runs."""
        return self._process.returncode

    async def begin(self, assignment: Assignment, asked: Callable[["Member"], None]) -> None:
        """Let it serve; returns when it does. ``asked`` is called each time it asks for the tier map to be read again.

        Raises:
            ProcessFailed: It does not.
        """
        try:
            async with asyncio.timeout(self._patience.start):
                with suppress(ConnectionError):  # it has ended already: then its word is missing, too
                    self._told.write(encoded(assignment))
                    await self._told.drain()
                word = read_word(await self._said.readline())
                if word is None:
                    status = await self._process.wait()
                    raise ProcessFailed(f"process {self._number} ended with status {status} before it served")
        except TimeoutError as error:
            raise ProcessFailed(
                f"process {self._number} did not begin to serve within {self._patience.start:g} seconds"
            ) from error
        if word.error:
            raise ProcessFailed(word.error)
        self.generation = assignment.served.generation
        self._listening = asyncio.get_running_loop().create_task(self._listen(asked))

    def tell(self, order: Order) -> None:
        """Give an order that is not answered. A process that has ended does not hear it."""
        with suppress(ConnectionError, RuntimeError):
            self._told.write(encoded(order))

    async def ask(self, order: Order) -> Word:
        """Give an order and wait for the answer.

        Raises:
            ProcessEnded: None comes any more.
            ProcessFailed: It took too long.
        """
        answer: asyncio.Future[Word] = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        self.tell(order)
        if self._listening is None or self._listening.done():
            raise ProcessEnded(f"process {self._number} has ended")
        try:
            async with asyncio.timeout(self._patience.order):
                return await answer
        except TimeoutError as error:
            raise ProcessFailed(
                f"process {self._number} did not answer within {self._patience.order:g} seconds"
            ) from error

    async def wait(self) -> int:
        """Wait for its end; returns its exit status."""
        status = await self._process.wait()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        return status

    async def see_off(self, seconds_max: float, hurry: asyncio.Event) -> None:
        """Wait until it has ended by itself. After ``seconds_max``, or at ``hurry``, tell it to end at once; by force
        where it does not.
        """
        if await self.ended(seconds_max, hurry):
            return
        self.signal(signal.SIGTERM)
        if not await self.ended(self._patience.stop):
            await self.kill()

    async def kill(self) -> None:
        """End it by force."""
        self.signal(signal.SIGKILL)
        await self.ended(self._patience.stop)

    def signal(self, sign: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(sign)

    async def ended(self, seconds_max: float | None, hurry: asyncio.Event | None = None) -> bool:
        """Wait for its end, but no longer than ``seconds_max`` or until ``hurry``; returns whether it has ended."""
        waits: list[asyncio.Future[object]] = [asyncio.ensure_future(self.wait())]
        if hurry is not None:
            waits.append(asyncio.ensure_future(hurry.wait()))
        try:
            await asyncio.wait(waits, timeout=seconds_max, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        return self.returncode is not None

    async def _listen(self, asked: Callable[["Member"], None]) -> None:
        try:
            while line := await self._said.readline():
                word = read_word(line)
                if word is None:
                    continue
                if word.asks:
                    asked(self)
                elif self._answers:
                    answer = self._answers.popleft()
                    if not answer.done():
                        answer.set_result(word)
        finally:
            for answer in self._answers:
                if not answer.done():
                    answer.set_exception(ProcessEnded(f"process {self._number} has ended"))
