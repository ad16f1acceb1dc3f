"""The real gateway as a process under callgrind, with its embedded Valkey beside it, uncounted."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.acceptance.gateway_process import free_port
from tests.guard import traffic
from tests.guard.callgrind import Callgrind, CallgrindFailed

START_SECONDS_MAX = 120.0
STOP_SECONDS_MAX = 60.0
_LOG_TAIL_BYTES = 2_000
_NOT_INHERITED = ("PYTHON", "TIERGATE_", "COVERAGE_", "UVICORN_")


class CountedGateway:
    """Runs from entry to exit: ``python``'s installed gateway with ``tier_map``; all its files are in ``folder``.

    Entry ends when it listens and raises ``CallgrindFailed``, with the end of its log, where it does not.
    """

    def __init__(self, python: Path, tier_map: Mapping[str, Any], folder: Path) -> None:
        self.port = free_port()
        self._callgrind = Callgrind(folder)
        self._folder = folder
        self._log = folder / "gateway.log"
        tiers = folder / "tiers.yaml"
        tiers.write_text(json.dumps(tier_map), encoding="utf-8")
        # -P: the installed gateway, never a checkout that happens to be the working directory.
        program = [str(python), "-P", "-m", "gateway", "serve", "--tiers", str(tiers), "--host", "127.0.0.1"]
        program += ["--port", str(self.port), "--state-directory", str(folder / "state")]
        self._command = self._callgrind.command(program)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        # Nothing of the caller's that changes Python or the gateway. One seed: the order of sets, and with it the
        # length of searches in tables, is the same in every run.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
        environment = {**inherited, traffic.KEY_VARIABLE: traffic.KEY, "PYTHONHASHSEED": "0"}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, cwd=self._folder, env=environment, stderr=log)
        try:
            self._wait_until_it_listens()
        except BaseException:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._running()
        process.terminate()
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise CallgrindFailed(f"the gateway did not end; its log:\n{self.log_tail()}") from None

    def switch_on(self) -> None:
        """Count from now on."""
        self._callgrind.switch_on(self._running().pid)

    def count(self, work: Callable[[], None]) -> tuple[int, Path]:
        """Instructions that the gateway executes while ``work`` runs, and callgrind's profile of them."""
        return self._callgrind.count(self._running().pid, work)

    def records(self) -> list[dict[str, Any]]:
        """The canonical log lines of requests so far; after exit, of all requests."""
        lines = self._log.read_bytes().splitlines()
        return [json.loads(line) for line in lines if line.startswith(b'{"event":"request.ended"')]

    def log_tail(self) -> str:
        """The end of what the gateway and valgrind wrote."""
        return self._log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while b'"gateway.listening"' not in self._log.read_bytes():
            if self._running().poll() is not None:
                raise CallgrindFailed(f"the gateway ended at its start; its log:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise CallgrindFailed(f"no gateway after {START_SECONDS_MAX:g} s; its log:\n{self.log_tail()}")
            time.sleep(0.05)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise CallgrindFailed("the gateway was not started")
        return self._process
