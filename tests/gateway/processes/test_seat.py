"""One process after another on one listening socket, with doubles in place of the gateway."""

import asyncio
import io
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.processes.member import Member, Patience, ProcessFailed
from gateway.processes.seat import Seat, child_command
from gateway.telemetry.log import Log
from gateway.telemetry.shared import Roster, SharedSeries
from gateway.telemetry.snapshot import Snapshot
from tests.acceptance.gateway_process import alive
from tests.doubles.clock import ManualClock
from tests.gateway.processes.test_assignment import ASSIGNMENT
from tests.stores import eventually

ROOT = Path(__file__).parents[3]
PATIENT = Patience(start=20, stop=20, backoff=(0.01, 0.02), steady=1000)

pytestmark = pytest.mark.integration


class Trial:
    """A seat, its log, and its series."""

    def __init__(
        self, folder: Path, behaviours: tuple[str, ...], patience: Patience, drain_seconds: float = 20
    ) -> None:
        self.folder = folder
        self.asked: list[Member] = []
        self.hurry = asyncio.Event()
        self.log = io.BytesIO()
        self.roster = Roster(folder)
        self.files: list[str] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.seat = Seat(
            3,
            self.listener,
            self._assign,
            asked=self.asked.append,
            command=[sys.executable, str(ROOT / "tests/doubles/gateway_child.py"), *behaviours],
            roster=self.roster,
            log=Log(self.log, ManualClock()),
            patience=patience,
            drain_seconds=drain_seconds,
        )

    def _assign(self, file: str) -> Any:  # noqa: ANN401 - an assignment
        self.files.append(file)
        return msgspec.structs.replace(
            ASSIGNMENT, process=3, folder=str(self.folder), file=file, listener=self.listener.fileno()
        )

    def events(self, name: str) -> list[dict[str, Any]]:
        """The events of that name so far."""
        return [line for line in map(json.loads, self.log.getvalue().splitlines()) if line["event"] == name]

    async def pid(self, number: int) -> int:
        """The process id of the n-th process that served, from 0."""
        await eventually(lambda: len(self.events("process.started")) > number)
        pid: int = self.events("process.started")[number]["pid"]
        return pid

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """The seat starts its first process and looks after it."""
        await self.seat.start()
        watch = asyncio.ensure_future(self.seat.watch())
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)


@asynccontextmanager
async def trial(
    folder: Path, *behaviours: str, patience: Patience = PATIENT, drain_seconds: float = 20
) -> AsyncIterator[Trial]:
    """A trial that leaves no process behind."""
    subject = Trial(folder, behaviours, patience, drain_seconds)
    try:
        yield subject
    finally:
        subject.hurry.set()
        await subject.seat.stop(0, subject.hurry)
        subject.listener.close()
    assert [event["pid"] for event in subject.events("process.started") if alive(event["pid"])] == []


async def test_a_process_is_started_with_its_assignment_and_told_of(tmp_path: Path) -> None:
    """By its number and its process id."""
    async with trial(tmp_path, "serve") as subject:
        process = await subject.seat.start()
        [started] = subject.events("process.started")
        assert (started["process"], started["pid"]) == (3, process.pid)
        assert subject.files == ["3-1"]
        assert os.getpgid(process.pid) != os.getpgid(0), "Ctrl-C does not reach it"


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        ("refuse", "^no, thank you$"),
        ("mute", "^process 3 ended with status 7 before it served$"),
        ("slow", "^process 3 did not begin to serve within 0.5 seconds$"),
    ],
)
async def test_a_process_that_does_not_begin_to_serve_says_why(tmp_path: Path, behaviour: str, told: str) -> None:
    """In its own words, where it has some."""
    patience = Patience(start=0.5 if behaviour == "slow" else 20, stop=20)
    async with trial(tmp_path, behaviour, patience=patience) as subject:
        with pytest.raises(ProcessFailed, match=told):
            await subject.seat.start()
        assert subject.events("process.started") == []


async def test_a_program_that_is_not_there_cannot_be_started(tmp_path: Path) -> None:
    """Which is a failure like others."""
    subject = Trial(tmp_path, (), PATIENT)
    subject.seat._command = [str(tmp_path / "nothing")]
    with pytest.raises(ProcessFailed, match=r"process 3 cannot be started: .*No such file"):
        await subject.seat.start()
    await subject.seat.stop(0, subject.hurry)
    subject.listener.close()


async def test_a_process_that_dies_is_told_of_and_started_again(tmp_path: Path) -> None:
    """With its status, under a file of its own; what the dead one has counted stays."""
    async with trial(tmp_path, "serve") as subject, subject.watched():
        first = await subject.pid(0)
        counted = Snapshot(totals={"requests": {(): [1.0, 5.0]}})
        SharedSeries(tmp_path, subject.files[0], process=3).write(counted)
        os.kill(first, signal.SIGKILL)
        second = await subject.pid(1)
        assert second != first
        [died] = subject.events("process.died")
        assert (died["process"], died["pid"], died["exit_status"]) == (3, first, -signal.SIGKILL)
        assert len(set(subject.files)) == 2
        assert counted in SharedSeries(tmp_path, "another", process=0).others()


async def test_a_process_that_cannot_be_started_again_is_tried_until_it_can(tmp_path: Path) -> None:
    """Each failure is told."""
    async with trial(tmp_path, "serve", "refuse", "mute", "serve") as subject, subject.watched():
        os.kill(await subject.pid(0), signal.SIGKILL)
        await subject.pid(1)
        failures = [event["error"] for event in subject.events("process.start_failed")]
        assert failures == ["no, thank you", "process 3 ended with status 7 before it served"]


async def test_a_process_that_hangs_at_its_start_is_killed_and_replaced(tmp_path: Path) -> None:
    """Nobody would know what it does later."""
    patience = Patience(start=3.0, stop=20, backoff=(0.01,))
    async with trial(tmp_path, "serve", "slow", "serve", patience=patience) as subject, subject.watched():
        os.kill(await subject.pid(0), signal.SIGKILL)
        await subject.pid(1)
        [failure] = subject.events("process.start_failed")
        assert "within 3 seconds" in failure["error"]


async def waits_after(patience: Patience, folder: Path) -> float:
    """How long it took until a process that dies again and again had been started four times."""
    async with trial(folder, "die", patience=patience) as subject:
        start = time.monotonic()
        async with subject.watched():
            await subject.pid(3)
            return time.monotonic() - start


async def test_one_that_dies_again_and_again_is_waited_for_longer_and_longer(tmp_path: Path) -> None:
    """Unless it has lived well in between."""
    backoff = (0.01, 0.01, 2.5)
    (tmp_path / "steady").mkdir()
    (tmp_path / "not").mkdir()
    assert await waits_after(Patience(backoff=backoff, steady=1000), tmp_path / "not") > 2.5
    assert await waits_after(Patience(backoff=backoff, steady=0), tmp_path / "steady") < 2.5


async def test_a_folder_that_is_gone_is_told_and_stops_nothing(tmp_path: Path) -> None:
    """Only series are lost; another process serves."""
    folder = tmp_path / "folder"
    folder.mkdir()
    async with trial(folder, "serve") as subject, subject.watched():
        first = await subject.pid(0)
        shutil.rmtree(folder)
        os.kill(first, signal.SIGKILL)
        await subject.pid(1)
        assert {event["process"] for event in subject.events("process.series_lost")} == {3}
        assert subject.events("process.start_failed") == []


async def test_a_process_is_stopped_gently(tmp_path: Path) -> None:
    """By the signal that it expects."""
    async with trial(tmp_path, "serve") as subject:
        process = await subject.seat.start()
        await subject.seat.stop(0, subject.hurry)
        assert process.returncode == 0
        await subject.seat.stop(0, subject.hurry)  # there is nothing to stop any more


async def test_one_that_takes_too_long_is_told_again(tmp_path: Path) -> None:
    """As by a person who asks twice; then open answers end at once."""
    patience = Patience(stop=0.5)
    async with trial(tmp_path, "stubborn", patience=patience, drain_seconds=0) as subject:
        process = await subject.seat.start()
        await subject.seat.stop(0, subject.hurry)
        assert process.returncode == 0


async def test_one_that_nobody_wants_to_wait_for_is_told_again_at_once(tmp_path: Path) -> None:
    """However long its answers may go on."""
    async with trial(tmp_path, "stubborn", drain_seconds=600) as subject:
        process = await subject.seat.start()
        stopping = asyncio.ensure_future(subject.seat.stop(0, subject.hurry))
        done, _ = await asyncio.wait({stopping}, timeout=0.3)
        assert not done
        subject.hurry.set()
        async with asyncio.timeout(20):
            await stopping
        assert process.returncode == 0


async def test_one_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    """In the end nothing is left."""
    async with trial(tmp_path, "deaf", patience=Patience(stop=0.2), drain_seconds=0) as subject:
        process = await subject.seat.start()
        await subject.seat.stop(0, subject.hurry)
        assert process.returncode == -signal.SIGKILL


async def test_a_process_is_replaced_by_one_that_serves_already(tmp_path: Path) -> None:
    """The old one is told to leave, and what it has counted stays; its end is no death, the new one's is."""
    async with trial(tmp_path, "serve") as subject, subject.watched():
        first = await subject.pid(0)
        counted = Snapshot(totals={"requests": {(): [1.0, 5.0]}})
        SharedSeries(tmp_path, subject.files[0], process=3).write(counted)
        await subject.seat.replace()
        second = await subject.pid(1)
        assert [event["before"] for event in subject.events("process.replaced")] == [first]
        await eventually(lambda: not alive(first))
        await eventually(lambda: counted in SharedSeries(tmp_path, "another", process=0).others())
        assert subject.events("process.died") == []
        os.kill(second, signal.SIGKILL)
        await subject.pid(2)
        assert [event["pid"] for event in subject.events("process.died")] == [second]


async def test_one_that_is_replaced_may_take_its_time(tmp_path: Path) -> None:
    """A stop waits for it too, and a hurry ends it; a death of the new one is seen meanwhile."""
    async with trial(tmp_path, "stubborn", "serve", drain_seconds=600) as subject, subject.watched():
        first = await subject.pid(0)
        await subject.seat.replace()
        second = await subject.pid(1)
        os.kill(second, signal.SIGKILL)
        await subject.pid(2)
        assert alive(first)
        os.kill(first, signal.SIGTERM)  # it takes the first for a mistake
        stopping = asyncio.ensure_future(subject.seat.stop(0, subject.hurry))
        done, _ = await asyncio.wait({stopping}, timeout=0.3)
        assert not done
        subject.hurry.set()
        async with asyncio.timeout(20):
            await stopping
        assert not alive(first)


async def test_one_that_is_replaced_does_not_stay_for_ever(tmp_path: Path) -> None:
    """After the time that its open answers have it is told to end at once."""
    patience = Patience(start=20, stop=0.2)
    async with trial(tmp_path, "stubborn", "serve", patience=patience, drain_seconds=0) as subject, subject.watched():
        first = await subject.pid(0)
        await subject.seat.replace()
        await eventually(lambda: not alive(first))


async def test_a_new_one_that_does_not_serve_leaves_the_old_one_in_its_place(tmp_path: Path) -> None:
    """It goes on as if nothing had been."""
    async with trial(tmp_path, "serve", "refuse", "serve") as subject, subject.watched():
        first = await subject.pid(0)
        with pytest.raises(ProcessFailed, match="no, thank you"):
            await subject.seat.replace()
        assert alive(first)
        assert subject.seat.member is not None
        assert subject.seat.member.pid == first
        os.kill(first, signal.SIGKILL)
        await subject.pid(1)


async def test_a_start_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    """A gateway may be stopped while a process is replaced."""
    async with trial(tmp_path, "serve", "slow") as subject:
        await subject.seat.start()
        replacing = asyncio.ensure_future(subject.seat.replace())
        await eventually(lambda: len(subject.files) == 2)
        replacing.cancel()
        await asyncio.gather(replacing, return_exceptions=True)
        assert subject.seat._starting is not None
        await subject.seat.stop(0, subject.hurry)
        assert subject.seat._starting.returncode is not None


async def test_series_that_cannot_be_read_are_told_and_stop_nothing(tmp_path: Path) -> None:
    """Such as those of another version."""
    async with trial(tmp_path, "serve") as subject, subject.watched():
        (tmp_path / subject.files[0]).write_bytes(b"\xc1")
        os.kill(await subject.pid(0), signal.SIGKILL)
        await subject.pid(1)
        assert len(subject.events("process.series_lost")) == 1


def test_a_child_is_found_where_its_parent_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not in whatever folder the gateway happens to be started from."""
    program = ["-m", "gateway.processes.child"]
    monkeypatch.setattr(sys, "path", [str(tmp_path / "bin"), *sys.path])
    assert child_command() == [sys.executable, "-P", *program]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert child_command() == [sys.executable, *program]
