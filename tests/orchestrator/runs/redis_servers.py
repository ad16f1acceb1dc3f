"""Servers for a store of runs: the bundled Valkey of the gateway's environment, and Debian's redis-server."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import pytest

BOUND_SECONDS = 10.0
PASSWORD = "canary-password-of-the-store"


@lru_cache
def binary(kind: str) -> str:
    """Where ``valkey`` or ``redis`` is; a test is left out where it is not installed."""
    if kind == "redis":
        found = shutil.which("redis-server")
    else:
        ask = "from gateway.store.embedded import _installed_binary as b; print(b())"
        python = os.environ.get("TIERGATE_GATEWAY_PYTHON")
        answer = python and subprocess.run([python, "-c", ask], capture_output=True, text=True, check=False)
        found = answer.stdout.strip() if answer else shutil.which("valkey-server")
    return found or pytest.skip(f"{kind} is not installed here")


@contextmanager
def redis_server(kind: str) -> Iterator[str]:
    """Yields the address of a server that is stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="runs-") as folder:
        path = Path(folder) / "s.sock"
        command = [binary(kind), "--port", "0", "--unixsocket", str(path), "--dir", folder, "--save", ""]
        process = subprocess.Popen([*command, "--requirepass", PASSWORD], stdout=subprocess.DEVNULL)
        try:
            give_up = time.monotonic() + BOUND_SECONDS
            while not _listens(path):
                assert time.monotonic() < give_up, f"{kind} did not start"
                time.sleep(0.005)
            yield f"unix://:{PASSWORD}@{path}"
        finally:
            process.terminate()
            process.wait(BOUND_SECONDS)


def _listens(path: Path) -> bool:
    """Whether somebody does: the file is there a moment earlier."""
    with socket.socket(socket.AF_UNIX) as asking:
        return asking.connect_ex(str(path)) == 0
