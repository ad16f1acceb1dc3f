"""What a run prints, where, and what it answers; in process, next to the whole command's tests in test_cli."""

import json
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Literal

import pytest
from crewai_core import lock_store

from orchestrator.errors import FlowUnusable
from orchestrator.quiet import ProcessLocks
from orchestrator.run_command import RunCommand
from orchestrator.settings import Settings

PARALLEL_STEPS = 16

FLOW = f"""
from threading import Barrier
from crewai.flow.flow import Flow, start

MEET = Barrier({PARALLEL_STEPS}, timeout=20)

class Prints(Flow):
    _skip_auto_memory = True

    @start()
    def say(self):
        print("from the flow")
        return {{"said": "über"}}

class Fails(Flow):
    _skip_auto_memory = True

    @start()
    def fail(self):
        raise RuntimeError("cold oven")

class Wide(Flow):
    _skip_auto_memory = True
""" + "".join(f"\n    @start()\n    def step_{n}(self):\n        MEET.wait()\n" for n in range(PARALLEL_STEPS))


@pytest.fixture
def flow_file(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "tg_run_command_flow.py"
    file.write_text(FLOW)
    path = list(sys.path)
    yield file
    sys.path[:] = path
    sys.modules.pop(file.stem, None)
    lock_store.set_lock_backend(None)


def execute(
    settings: Settings, target: str, *, output: Literal["text", "json"] = "text", debug: bool = True
) -> tuple[bool, str, str]:
    command = RunCommand(target=target, inputs={}, run="run-1", output=output, debug=debug, settings=settings)
    stdout, stderr = StringIO(), StringIO()
    ended_well = command.execute(stdout, stderr)
    return ended_well, stdout.getvalue(), stderr.getvalue()


def test_the_report_alone_is_on_stdout(settings: Settings, flow_file: Path) -> None:
    """A Flow that prints does not get into its own report."""
    ended_well, stdout, stderr = execute(settings, f"{flow_file}:Prints", debug=False)
    assert ended_well
    assert json.loads(stdout) == {"said": "über"}
    assert "über" in stdout
    assert "from the flow" in stderr
    assert "step say done" in stderr


def test_json_has_everything_of_the_run(settings: Settings, flow_file: Path) -> None:
    _, stdout, _ = execute(settings, f"{flow_file}:Prints", output="json")
    document = json.loads(stdout)
    assert document.pop("seconds") >= 0
    assert document == {
        "run": "run-1",
        "flow": "Prints",
        "status": "ok",
        "output": {"said": "über"},
        "state": {"id": "run-1"},
    }


def test_a_failure_is_one_line_and_a_traceback_only_when_asked_for(settings: Settings, flow_file: Path) -> None:
    ended_well, stdout, stderr = execute(settings, f"{flow_file}:Fails", debug=False)
    line = "tiergate-orchestrator: Fails failed in step 'fail': RuntimeError: cold oven"
    assert (ended_well, stdout, stderr.splitlines()[-1]) == (False, "", line)
    assert "Traceback" not in stderr
    _, _, stderr = execute(settings, f"{flow_file}:Fails", debug=True)
    assert "Traceback" in stderr


def test_a_failure_as_json_keeps_the_form(settings: Settings, flow_file: Path) -> None:
    ended_well, stdout, _ = execute(settings, f"{flow_file}:Fails", output="json")
    document = json.loads(stdout)
    assert not ended_well
    assert list(document) == ["run", "flow", "status", "output", "state", "seconds", "error"]
    assert (document["status"], document["error"]) == (
        "failed",
        "Fails failed in step 'fail': RuntimeError: cold oven",
    )


def test_parallel_steps_really_run_at_once(settings: Settings, flow_file: Path) -> None:
    """More of them than Python's default executor has threads on a small machine: each waits for all others."""
    ended_well, _, stderr = execute(settings, f"{flow_file}:Wide")
    assert ended_well, stderr


def test_crewai_locks_in_this_process_whatever_redis_url_says(settings: Settings, flow_file: Path) -> None:
    """With CrewAI's own choice a Redis that is down would stop every crew."""
    execute(settings, f"{flow_file}:Prints")
    assert isinstance(lock_store._backend, ProcessLocks)


def test_a_flow_that_cannot_be_loaded_is_not_a_failed_run(settings: Settings, flow_file: Path) -> None:
    with pytest.raises(FlowUnusable):
        execute(settings, f"{flow_file}:Absent")
