"""Children of the fleet: what becomes of them, and of what they say."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from deploy.errors import ProcessDied
from deploy.local.processes import LOG_TAIL_BYTES_MAX, describe_status, fleet, log_tail
from tests.doubles.process_ids import Pids, until

pytestmark = pytest.mark.integration

PYTHON = (sys.executable, "-c")
ENVIRONMENT = dict(os.environ)
SLOW_TO_END = """
import os, pathlib, signal, sys, time
def end(number, frame):
    time.sleep(0.5)
    sys.stderr.write("ended in order")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
pathlib.Path(sys.argv[1], str(os.getpid())).touch()
while True:
    signal.pause()
"""


async def died_of(folder: Path, *command: str, environment: dict[str, str] | None = None) -> ProcessDied:
    """How a fleet tells of a child that ends by itself."""

    async def wait_for_ever() -> None:
        async with fleet(logs=folder, grace_seconds=5) as children:
            await children.start("child", command, ENVIRONMENT if environment is None else environment)
            async with asyncio.timeout(20):
                await asyncio.get_running_loop().create_future()

    with pytest.raises(ProcessDied) as caught:
        await wait_for_ever()
    return caught.value


async def test_children_get_the_environment_that_was_made_for_them_and_no_more(tmp_path: Path) -> None:
    script = "import os; print(sorted(os.environ))"
    died = await died_of(tmp_path, *PYTHON, script, environment={"ONE": "1"})
    assert "'ONE'" in died.log_tail
    assert "HOME" not in died.log_tail


async def test_what_a_child_says_is_in_its_log(tmp_path: Path) -> None:
    """Both of its streams; its end comes with the last of it."""
    script = "import sys; print('out', flush=True); sys.stderr.write('last'); sys.exit(3)"
    died = await died_of(tmp_path, *PYTHON, script)
    assert (died.message, died.log_tail) == ("child ended by itself (exit status 3)", "out\nlast")
    assert str(tmp_path / "child.log") in died.remedy


async def test_a_program_that_is_not_there_is_told_in_the_log(tmp_path: Path) -> None:
    died = await died_of(tmp_path, "/nowhere/tool")
    assert "exit status 127" in died.message
    assert died.log_tail == "cannot run /nowhere/tool: No such file or directory"


async def test_a_child_that_ignores_the_request_to_end_is_forced(tmp_path: Path, pids: Pids) -> None:
    script = "import os, pathlib, signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    script += "; pathlib.Path(sys.argv[1], str(os.getpid())).touch(); signal.pause()"
    async with fleet(logs=tmp_path, grace_seconds=0.3) as children:
        await children.start("child", (*PYTHON, script, str(pids.folder)), ENVIRONMENT)
        await until(lambda: bool(pids.all()))
    await pids.gone()


async def test_a_child_may_end_in_order(tmp_path: Path, pids: Pids) -> None:
    """It is asked first, and has its grace."""
    async with fleet(logs=tmp_path, grace_seconds=10) as children:
        await children.start("child", (*PYTHON, SLOW_TO_END, str(pids.folder)), ENVIRONMENT)
        await until(lambda: bool(pids.all()))
    assert log_tail(tmp_path / "child.log") == "ended in order"


async def test_a_cancellation_during_the_stop_does_not_cut_it_short(tmp_path: Path, pids: Pids) -> None:
    """It is passed on when every child has ended."""

    async def work() -> None:
        async with fleet(logs=tmp_path, grace_seconds=10) as children:
            await children.start("child", (*PYTHON, SLOW_TO_END, str(pids.folder)), ENVIRONMENT)
            await until(lambda: bool(pids.all()))
            stops.set()

    stops = asyncio.Event()
    task = asyncio.get_running_loop().create_task(work())
    await stops.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log_tail(tmp_path / "child.log") == "ended in order"
    await pids.gone()


async def test_an_error_of_the_block_comes_out_as_it_is(tmp_path: Path, pids: Pids) -> None:
    """And the children are stopped."""

    async def fail() -> None:
        async with fleet(logs=tmp_path, grace_seconds=10) as children:
            await children.start("child", (*PYTHON, SLOW_TO_END, str(pids.folder)), ENVIRONMENT)
            await until(lambda: bool(pids.all()))
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await fail()
    await pids.gone()


async def test_a_death_cancels_the_block_and_names_the_signal(tmp_path: Path) -> None:
    died = await died_of(tmp_path, *PYTHON, "import os; os.abort()")
    assert died.message == "child ended by itself (killed by SIGABRT)"


async def test_what_a_dead_child_left_behind_is_ended_too(tmp_path: Path, pids: Pids) -> None:
    script = """
import os, pathlib, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
pathlib.Path(sys.argv[1], str(child.pid)).touch()
"""
    await died_of(tmp_path, *PYTHON, script, str(pids.folder))
    assert len(pids.all()) == 1
    await pids.gone()


@pytest.mark.parametrize(
    ("status", "words"),
    [(0, "exit status 0"), (-signal.SIGKILL, "killed by SIGKILL"), (-250, "killed by signal 250")],
)
def test_an_exit_status_is_told_in_words(status: int, words: str) -> None:
    assert describe_status(status) == words


def test_the_tail_of_a_log_is_bounded(tmp_path: Path) -> None:
    """By lines and by bytes; a log that was never written has none."""
    log = tmp_path / "a.log"
    assert log_tail(log) == ""
    log.write_text("".join(f"line {number}\n" for number in range(100)), encoding="utf-8")
    assert log_tail(log, lines=2) == "line 98\nline 99"
    log.write_bytes(b"x" * LOG_TAIL_BYTES_MAX * 2)
    assert len(log_tail(log)) == LOG_TAIL_BYTES_MAX
