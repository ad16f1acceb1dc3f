"""The parent of several processes, with doubles in their place; ``tests/acceptance`` has real ones."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.processes.member import Patience, ProcessFailed
from gateway.processes.parent import serve_with_processes
from gateway.settings import Settings, SettingsInvalid
from tests.acceptance.gateway_process import alive
from tests.gateway.samples import tier_map, token_tier
from tests.stores import eventually
from tiers.tiermap import Key, SecretReference

ROOT = Path(__file__).parents[3]
NOBODY = "redis://127.0.0.1:1/0"
"""A store that is not there: port 1 is nobody's."""
BOUND_SECONDS = 20.0
MAP = tier_map(token_tier(), keys=(Key(name="demo", secret=SecretReference("env", "CALLER")),))

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def secret_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLER", "sk-caller")


class Family:
    """A parent on the test's own loop, its children and its log; stopped by signals to this process."""

    def __init__(self, task: "asyncio.Task[None]", capture: pytest.CaptureFixture[bytes]) -> None:
        self.task = task
        self._capture = capture
        self._log = b""

    def lines(self) -> list[dict[str, Any]]:
        """The log so far."""
        self._log += self._capture.readouterr().err
        whole = self._log[: self._log.rfind(b"\n") + 1]
        return [json.loads(line) for line in whole.splitlines() if line.startswith(b"{")]

    def events(self) -> list[str]:
        """The names of what happened so far."""
        return [line["event"] for line in self.lines()]

    def pids(self) -> list[int]:
        """The processes that have begun to serve."""
        return [line["pid"] for line in self.lines() if line["event"] == "process.started"]

    async def happened(self, name: str) -> None:
        """Wait for an event."""
        await eventually(lambda: self.task.done() or name in self.events(), BOUND_SECONDS)
        assert name in self.events()

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask the parent, which must be there to hear it, to stop or what else ``number`` means."""
        assert not self.task.done()
        os.kill(os.getpid(), number)

    async def end(self) -> None:
        """Wait until it has stopped; nothing that it started is left."""
        async with asyncio.timeout(BOUND_SECONDS):
            await self.task
        assert [pid for pid in self.pids() if alive(pid)] == []


@asynccontextmanager
async def family(
    tmp_path: Path,
    capture: pytest.CaptureFixture[bytes],
    *behaviours: str,
    **fields: Any,  # noqa: ANN401 - any of the settings
) -> AsyncIterator[Family]:
    """A parent of two children that behave so; cancelled at the end if it was not stopped."""
    settings = Settings(
        **{
            "tiers_file": Path("tiers.yaml"), "port": 0, "state_directory": tmp_path, "store": NOBODY,
            "drain_seconds": 1, "processes": 2, **fields,
        }
    )  # fmt: skip
    command = [sys.executable, str(ROOT / "tests/doubles/gateway_child.py"), *behaviours]
    patience = Patience(stop=BOUND_SECONDS, backoff=(0.01,))
    task = asyncio.ensure_future(serve_with_processes(settings, MAP, b"", command=command, patience=patience))
    try:
        yield Family(task, capture)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task


async def test_its_log_tells_its_life(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """It listens once all of its children do; the stop is a success."""
    async with family(tmp_path, capfdbinary, "serve") as subject:
        await subject.happened("gateway.listening")
        subject.signal()
        await subject.end()
    assert subject.events() == [
        *("store.unavailable", "process.started", "process.started", "gateway.listening", "gateway.stopped")
    ]
    listening = subject.lines()[3]
    assert (listening["host"], listening["tiers"], listening["processes"]) == ("127.0.0.1", ["routing"], 2)
    assert listening["port"] > 0
    assert sorted(line["process"] for line in subject.lines()[1:3]) == [0, 1]


@pytest.mark.parametrize("behaviour", ["refuse", "half"])
async def test_if_one_cannot_begin_all_is_over(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], behaviour: str
) -> None:
    """Its own words say why, once; the others are stopped, and nobody is told that requests can come."""
    async with family(tmp_path, capfdbinary, behaviour) as subject:
        with pytest.raises(ProcessFailed, match=r"^no, thank you$"):
            await subject.end()
        assert "gateway.listening" not in subject.events()
        assert [pid for pid in subject.pids() if alive(pid)] == []


async def test_a_stop_does_not_wait_for_the_start(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """And is a success."""
    async with family(tmp_path, capfdbinary, "slow") as subject:
        await subject.happened("store.unavailable")
        await eventually(lambda: signal.getsignal(signal.SIGTERM) != signal.SIG_DFL, BOUND_SECONDS)
        subject.signal()
        await subject.end()
        assert subject.events() == ["store.unavailable", "gateway.stopped"]


async def test_a_second_signal_is_passed_on(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """The first one gives open answers time; meanwhile nobody is let in any more."""
    async with family(tmp_path, capfdbinary, "stubborn", drain_seconds=600) as subject:
        await subject.happened("gateway.listening")
        [port] = [line["port"] for line in subject.lines() if line["event"] == "gateway.listening"]
        with socket.create_connection(("127.0.0.1", port), 5):
            subject.signal()
        await eventually(lambda: _refused(port), BOUND_SECONDS)
        assert [alive(pid) for pid in subject.pids()] == [True, True]
        subject.signal()
        await subject.end()


def _refused(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 5):
            return False
    except ConnectionRefusedError:
        return True


async def test_one_that_dies_is_replaced(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """The gateway goes on."""
    async with family(tmp_path, capfdbinary, "serve") as subject:
        await subject.happened("gateway.listening")
        os.kill(subject.pids()[0], signal.SIGKILL)
        await eventually(lambda: len(subject.pids()) == 3, BOUND_SECONDS)
        subject.signal()
        await subject.end()
    assert subject.events().count("process.died") == 1


async def test_what_is_wrong_is_told_before_anything_is_started(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that is taken; a secret that is missing, for which not even the store is started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        async with family(tmp_path, capfdbinary, "serve", port=taken.getsockname()[1]) as subject:
            with pytest.raises(OSError, match="in use"):
                await subject.end()
            assert subject.pids() == []
    monkeypatch.delenv("CALLER")
    async with family(tmp_path, capfdbinary, "serve", store=None) as subject:
        with pytest.raises(SettingsInvalid, match="env:CALLER"):
            await subject.end()
    assert not (tmp_path / "store").exists()


async def test_signals_reload_the_map_and_replace_the_processes(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Each as often as it comes; so does a process that asks."""
    file = tmp_path / "tiers.yaml"
    file.write_text(f"version: 1\nstore: {NOBODY}\n")
    async with family(tmp_path, capfdbinary, "serve", "ask", "serve", tiers_file=file) as subject:
        await subject.happened("gateway.listening")

        def rejections(number: int) -> bool:
            return subject.events().count("tier_map.rejected") == number

        for times in (1, 2):
            subject.signal(signal.SIGHUP)
            await eventually(partial(rejections, times), BOUND_SECONDS)
        subject.signal(signal.SIGUSR2)
        await subject.happened("gateway.restarted")
        assert subject.events().count("process.replaced") == 2
        # Both of the new ones ask.
        await eventually(partial(rejections, 4), BOUND_SECONDS)
        causes = [line["cause"] for line in subject.lines() if line["event"] == "tier_map.rejected"]
        assert causes == ["signal", "signal", "api", "api"]
        subject.signal()
        await subject.end()


async def test_connections_are_accepted_for_a_while_after_the_signal(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Processes are told at once; whoever is in a hurry does not wait for it."""
    async with family(tmp_path, capfdbinary, "stubborn", drain_delay_seconds=600) as subject:
        await subject.happened("gateway.listening")
        [port] = [line["port"] for line in subject.lines() if line["event"] == "gateway.listening"]
        subject.signal()
        await asyncio.sleep(0.1)
        assert not _refused(port)
        subject.signal()
        await subject.end()
        assert _refused(port)
