"""A process that is tied to its parent ends with it."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from deploy.local import tether
from tests.doubles.process_ids import Pids, until

_PARENT = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-I", "-S", sys.argv[1], str(os.getpid()), *sys.argv[2:]])
time.sleep(60)
"""
_CHILD = "import os, pathlib, signal, sys; pathlib.Path(sys.argv[1], str(os.getpid())).touch(); signal.pause()"


@pytest.mark.integration
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a process to its parent")
async def test_a_tied_process_ends_when_its_parent_is_killed(pids: Pids) -> None:
    """Even when the parent is killed and cannot stop anything any more."""
    command = (sys.executable, "-c", _CHILD, str(pids.folder))
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", _PARENT, tether.__file__, *command)
    await until(lambda: bool(pids.all()))
    parent.kill()
    await parent.wait()
    await pids.gone()


@pytest.mark.integration
async def test_the_program_gets_its_arguments_and_its_status_is_kept() -> None:
    script = "import sys; print(sys.argv[1:]); sys.exit(5)"
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", tether.__file__, str(os.getpid())),
        *(sys.executable, "-c", script, "a b", "--c"),
        stdout=asyncio.subprocess.PIPE,
    )
    shown, _ = await child.communicate()
    assert shown == b"['a b', '--c']\n"
    assert child.returncode == 5


@pytest.mark.integration
async def test_a_process_whose_parent_is_gone_already_does_not_start() -> None:
    child = await asyncio.create_subprocess_exec(sys.executable, tether.__file__, "1", "/bin/true")
    assert await child.wait() == tether.PARENT_GONE_STATUS


def test_it_becomes_the_program_with_its_own_name_first() -> None:
    """As every program expects its arguments."""
    became: list[tuple[str, list[str]]] = []
    status = tether.main(
        [str(os.getppid()), "/bin/tool", "--x"],
        become=lambda program, words: became.append((program, words)),
        bind=lambda parent, death_signal: (parent, death_signal) == (os.getppid(), signal.SIGTERM),
    )
    assert became == [("/bin/tool", ["/bin/tool", "--x"])]
    assert status == tether.CANNOT_RUN_STATUS


def test_a_program_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    status = tether.main(["1", str(missing)], bind=lambda _parent, _signal: True)
    assert status == tether.CANNOT_RUN_STATUS
    assert capsys.readouterr().err == f"cannot run {missing}: No such file or directory\n"
