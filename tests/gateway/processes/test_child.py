"""One of several processes, as its parent sees it: an assignment in, a word out."""

import http.client
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from gateway.processes.assignment import Assignment, Word, encoded, read_word
from gateway.processes.seat import child_command
from tests.gateway.processes.test_assignment import ASSIGNMENT

ROOT = Path(__file__).parents[3]
BOUND_SECONDS = 20.0
MAP = b"""\
version: 1
store: redis://127.0.0.1:1/0
tiers:
  routing:
    model: m
    price: {input: 1, output: 1}
    endpoints: [{url: "http://127.0.0.1:1/v1"}]
    context: 1000
    slots: 1
keys:
  - {name: demo, key: env:TIERGATE_TEST_KEY}
"""

pytestmark = pytest.mark.integration


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        yield opened


def assignment(listener: socket.socket, folder: Path) -> Assignment:
    """To serve on ``listener`` without a store."""
    return msgspec.structs.replace(
        ASSIGNMENT,
        listener=listener.fileno(),
        folder=str(folder),
        store_url="redis://127.0.0.1:1/0",
        store_description="the parent's store",
        tiers=MAP,
        state_directory=str(folder),
        drain_seconds=1,
        drain_delay_seconds=0,
        slot_lease_seconds=30,
        records_max=1000,
        records_days=30,
    )


@contextmanager
def child(listener: socket.socket, *, key: str | None = "sk-test") -> Iterator["subprocess.Popen[bytes]"]:
    """A child that has not been told anything yet."""
    environment = {name: value for name, value in os.environ.items() if name != "TIERGATE_TEST_KEY"}
    if key is not None:
        environment["TIERGATE_TEST_KEY"] = key
    process = subprocess.Popen(
        [sys.executable, *child_command()[1:]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=(listener.fileno(),),
        cwd=ROOT,
        env=environment,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def tell(process: "subprocess.Popen[bytes]", line: bytes) -> Word | None:
    """Give the child its assignment; returns its word."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line)
    process.stdin.flush()
    return read_word(process.stdout.readline())


def test_it_serves_what_it_is_assigned_until_it_is_stopped(listener: socket.socket, tmp_path: Path) -> None:
    """With the parent's words for the store; its series stay for its successor."""
    with child(listener) as process:
        assert tell(process, encoded(assignment(listener, tmp_path))) == Word()
        host, port = listener.getsockname()
        connection = http.client.HTTPConnection(host, port, timeout=BOUND_SECONDS)
        connection.request("GET", "/readyz")
        assert connection.getresponse().status == 503
        connection.close()
        process.terminate()
        assert process.wait(BOUND_SECONDS) == 0
        assert process.stderr is not None
        log = process.stderr.read()
    assert b"the parent's store" in log
    assert b"gateway.listening" not in log
    assert b"gateway.stopped" not in log
    assert (tmp_path / ASSIGNMENT.file).exists()


def test_the_end_of_its_parent_is_its_own(listener: socket.socket, tmp_path: Path) -> None:
    """As at SIGTERM; and nobody but it can clear the folder away then."""
    folder = tmp_path / "folder"
    folder.mkdir()
    with child(listener) as process:
        assert tell(process, encoded(assignment(listener, folder))) == Word()
        assert process.stdin is not None
        process.stdin.write(b"more is nothing to it\n")
        process.stdin.flush()
        assert (tmp_path / "folder").exists()
        process.stdin.close()
        assert process.wait(BOUND_SECONDS) == 0
    assert not folder.exists()


def test_a_parent_that_ends_before_its_word_ends_it_too(listener: socket.socket) -> None:
    """Without a trace."""
    with child(listener) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(BOUND_SECONDS) == 1
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_it_says_why_it_cannot_serve(listener: socket.socket, tmp_path: Path) -> None:
    """To its parent, who says it once for all."""
    with child(listener, key=None) as process:
        word = tell(process, encoded(assignment(listener, tmp_path)))
        assert word is not None
        assert "env:TIERGATE_TEST_KEY" in word.error
        assert process.wait(BOUND_SECONDS) == 1
        assert process.stderr is not None
        assert process.stderr.read() == b""
