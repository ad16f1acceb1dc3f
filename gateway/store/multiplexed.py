"""One connection over which all commands of the process go, each turn of the event loop in one write.

To one server at a time, which serves all keys. Where that may be another one each time, it is looked for before each
connection (``gateway.store.locating``), and a server that says that it does not serve them is left. Large reads belong
on a connection of their own, since replies come in the order of the commands.
"""

import asyncio
from collections import deque
from typing import Final, Protocol

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from gateway.store.line import Line
from gateway.store.resp import NotServingError, Reply, command

WAITING_MAX: Final = 100_000
"""Commands without an answer, at most; more are refused."""
TOGETHER_MAX: Final = 8
"""Commands that wait for each other within a turn: the store works on the first while others are still made."""
CONNECT_SECONDS: Final = 2.0
"""How long connecting and logging in may take."""
ANSWER_SECONDS: Final = 2.0
"""How long the oldest command waits for its answer, and up to a quarter more, before the connection is given up."""
BACKOFF_SECONDS = (0.05, 0.1, 0.2, 0.5)
"""The waits after failed connections; the last one is repeated. Commands fail at once meanwhile."""
_TICKS: Final = 4


class Where(Protocol):
    """What can be connected to: an ``Address``, or a ``Located`` one. ``name`` is for messages; no secrets."""

    @property
    def name(self) -> str:
        """Which store it is."""

    async def open(self, loop: asyncio.AbstractEventLoop) -> Line:
        """Connect and log in. Raises ``OSError`` or ``RedisError``; redis-py's ``TimeoutError`` is a silence."""


class Multiplexed:
    """Sends commands in the order in which ``execute`` was called, and the store runs them in that order.

    Connects with the first command, and again with the next one after the connection was lost. A store that fell silent
    is not waited for by one command after the other: commands fail at once until it has answered a PING, which is sent
    again and again on connections of its own. Belongs to the event loop on which it is made.
    """

    def __init__(
        self,
        address: Where,
        *,
        answer_seconds: float = ANSWER_SECONDS,
        connect_seconds: float = CONNECT_SECONDS,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        self._address = address
        self._answer_seconds = answer_seconds
        self._connect_seconds = connect_seconds
        self._waiting_max = waiting_max
        self._loop = asyncio.get_running_loop()
        self._line: Line | None = None
        # Not sent yet: packed commands and, one for one, their futures. Sent: the line's futures.
        self._packed: list[bytes] = []
        self._queued: list[asyncio.Future[Reply]] = []
        self._waiting: deque[asyncio.Future[Reply]] = deque()
        self._scheduled = False
        self._closed = False
        self._connecting: asyncio.Task[None] | None = None
        self._failures = 0
        self._failure = ""
        # Why commands are refused while a store that fell silent is looked for; empty while it is not.
        self._silence = ""
        self._retry_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        # How many answers will have come once all that was sent before a tick is answered; one per tick.
        self._due: deque[int] = deque(maxlen=_TICKS)

    def execute(self, *parts: bytes | str | int) -> asyncio.Future[Reply]:
        """Send one command; see ``send``."""
        return self.send(command(*parts))

    def send(self, packed: bytes) -> asyncio.Future[Reply]:
        """Send one packed command with this turn's others; the future gets its reply or error.

        The command goes out also where the future is cancelled: only its reply is dropped.

        Raises (through the future):
            RedisError: The store answered with an error.
            redis.exceptions.ConnectionError: No connection, or it was lost; the command may have been run.
            redis.exceptions.TimeoutError: No answer in time; the command may have been run.
        """
        future: asyncio.Future[Reply] = self._loop.create_future()
        if len(self._queued) + len(self._waiting) >= self._waiting_max:
            future.set_exception(self._overload())
        elif self._line is None and (refusal := self._refusal()):
            future.set_exception(RedisConnectionError(refusal))
        else:
            self._packed.append(packed)
            self._queued.append(future)
            if len(self._queued) >= TOGETHER_MAX and self._line is not None:
                self._send_on(self._line)
            elif not self._scheduled:
                self._scheduled = True
                self._loop.call_soon(self._flush)
        return future

    def leave(self, reason: str) -> None:
        """End the connection, if there is one: the next command makes a new one. Those who wait get an error."""
        if self._line is not None:
            self._line.end(NotServingError(reason))

    async def aclose(self) -> None:
        """Wait for the answers to what was sent, as long as for any answer; then refuse everything."""
        if not self._closed and (self._queued or self._waiting):
            # The last in line: its answer comes after all others.
            last = self.execute("PING")
            await asyncio.wait([last], timeout=self._answer_seconds)
            if not last.cancel():
                last.exception()  # whatever it was, it has been waited for
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
            self._silence = ""
        if self._line is not None:
            line = self._line
            line.end(RedisConnectionError("The connection was closed."))
            await line.gone
        self._fail_queued(RedisConnectionError("The connection was closed."))

    def _overload(self) -> RedisError:
        return RedisConnectionError(f"{self._waiting_max} commands wait for {self._address.name} already.")

    def _refusal(self) -> str:
        """Why a command cannot even wait for a connection; empty if it can."""
        if self._closed:
            return f"The connection to {self._address.name} is closed."
        if self._silence:
            return self._silence
        return self._failure if self._loop.time() < self._retry_at else ""

    def _flush(self) -> None:
        self._scheduled = False
        line = self._line
        if line is None:
            if self._queued and self._connecting is None and not self._closed:
                self._connecting = self._loop.create_task(self._connect())
            return
        self._send_on(line)

    def _send_on(self, line: Line) -> None:
        if line.full or not self._queued:
            return
        packed, queued = self._packed, self._queued
        self._packed, self._queued = [], []
        line.send(packed[0] if len(packed) == 1 else b"".join(packed), queued)
        if self._timer is None:
            self._watch(line)

    async def _connect(self) -> None:
        silent = False
        try:
            async with asyncio.timeout(self._connect_seconds):
                line = await self._address.open(self._loop)
        except TimeoutError:
            silent = True
            self._failed(f"no connection to {self._address.name} within {self._connect_seconds:g} seconds.")
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to those who wait
            silent = isinstance(error, RedisTimeoutError)
            self._failed(f"no connection to {self._address.name} ({type(error).__name__}: {error}).", error)
        else:
            self._take(line)
        finally:
            self._connecting = None
        if silent:
            self._look_for_it(self._failure)
        self._flush()

    def _look_for_it(self, silence: str) -> None:
        """Refuse commands, saying ``silence``, until the store answers a PING."""
        self._fail_queued(RedisTimeoutError(silence))
        if not self._closed:
            self._silence = silence
            self._connecting = self._loop.create_task(self._probe())

    async def _probe(self) -> None:
        failures = 0
        while not await self._answers():
            await asyncio.sleep(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])
            failures += 1
        self._silence, self._connecting = "", None
        self._failures, self._retry_at = 0, 0.0

    async def _answers(self) -> bool:
        """Whether the store answers on a new connection, which is then the one for commands."""
        line: Line | None = None
        answered = False
        try:
            async with asyncio.timeout(self._connect_seconds + self._answer_seconds):
                line = await self._address.open(self._loop)
                await line.ask(command("PING"))
            answered = True
        except ResponseError:
            # A refusal is an answer too, and commands get their own. Loading and a login's failure are none of these.
            answered = line is not None
        except TimeoutError:
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to those who ask meanwhile
            self._silence = f"No connection to {self._address.name} ({type(error).__name__}: {error})."
        finally:
            if line is not None and not answered:
                line.end(RedisConnectionError(f"{self._address.name} did not answer a PING."))
        if line is None or not answered or line.ended is not None:
            return False
        self._take(line)
        return True

    def _take(self, line: Line) -> None:
        if line.ended is not None:
            self._failed(str(line.ended), line.ended)
            return
        line.on_end, line.on_room = self._ended, self._flush
        line.answered = 0  # the login does not count: what follows it must
        self._line, self._waiting = line, line.waiting

    def _failed(self, message: str, error: Exception | None = None) -> None:
        self._back_off(message)
        # A wrong password stays one; everything else is a connection that does not come about.
        kind = type(error) if isinstance(error, RedisError) else RedisConnectionError
        self._fail_queued(kind(self._failure))

    def _back_off(self, message: str) -> None:
        self._failure = message[0].upper() + message[1:]
        self._retry_at = self._loop.time() + BACKOFF_SECONDS[min(self._failures, len(BACKOFF_SECONDS) - 1)]
        self._failures += 1

    def _fail_queued(self, error: RedisError) -> None:
        queued, self._queued, self._packed = self._queued, [], []
        for future in queued:
            if not future.done():
                future.set_exception(type(error)(*error.args))

    def _ended(self, line: Line) -> None:
        self._line, self._waiting = None, deque()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due.clear()
        if line.answered:
            self._failures = 0
        else:
            # A server that takes connections and ends them is as good as none.
            self._back_off(str(line.ended))
        if self._queued and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def _watch(self, line: Line) -> None:
        self._timer = self._loop.call_later(self._answer_seconds / _TICKS, self._tick, line)

    def _tick(self, line: Line) -> None:
        """Look whether the answers that were due are there: one timer for all commands."""
        self._timer = None
        if len(self._due) == _TICKS and self._due[0] > line.answered:
            silence = f"{self._address.name} did not answer within {self._answer_seconds:g} seconds."
            line.end(RedisTimeoutError(silence))
            self._look_for_it(silence)
        elif line.waiting:
            self._due.append(line.answered + len(line.waiting))
            self._watch(line)
        else:
            self._due.clear()
