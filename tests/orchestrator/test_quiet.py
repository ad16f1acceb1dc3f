"""CrewAI is silenced, and nobody else; its locks stay in this process."""

import logging
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread

import pytest
from crewai.utilities.task_output_storage_handler import TaskOutputStorageHandler
from crewai_core.lock_store import lock, set_lock_backend

from orchestrator.quiet import ProcessLocks, keep_no_task_outputs, use_process_locks

ROOT = Path(__file__).parents[2]

TALK = """
from orchestrator.settings import prepare_crewai
prepare_crewai()
import logging, sys
from pathlib import Path
from orchestrator.quiet import silence_console
{silence}
from crewai.events import event_context
from crewai.events.event_bus import crewai_event_bus
from crewai_core.printer import PRINTER
logging.basicConfig(stream=sys.stdout, format="%(message)s")
event_context._console.print("crewai: pairing warning")
crewai_event_bus._console.print("crewai: bus error")
PRINTER.print(content="crewai: panel")
logging.getLogger("crewai.llms.base_llm").warning("crewai: approximate count")
root = logging.getLogger()
root.handle(root.makeRecord("root", logging.ERROR, "/x/crewai/llm.py", 1, "crewai: call failed", (), None))
logging.error("flow: my own error")
logging.getLogger("flow").warning("flow: my own warning")
print("flow: my own print")
"""


def spoken(*, silence: bool) -> list[str]:
    code = TALK.format(silence="silence_console()" if silence else "")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_only_crewai_falls_silent() -> None:
    mine = ["flow: my own error", "flow: my own warning", "flow: my own print"]
    assert spoken(silence=True) == mine
    assert sum(line.startswith("crewai:") for line in spoken(silence=False)) >= 3


@pytest.fixture
def process_locks() -> object:
    use_process_locks()
    yield
    set_lock_backend(None)


@pytest.mark.usefixtures("process_locks")
def test_crewai_s_locks_are_held_here() -> None:
    """One holder of a name at a time; another name is free meanwhile."""
    order: list[str] = []
    held, release = Event(), Event()

    def hold() -> None:
        with lock("kickoff"):
            held.set()
            release.wait(20)
            order.append("first")

    thread = Thread(target=hold)
    thread.start()
    assert held.wait(20)
    with lock("another"):
        release.set()
    with lock("kickoff", timeout=20):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_a_lock_that_stays_taken_is_a_timeout() -> None:
    locks = ProcessLocks()
    with locks("a", timeout=1), pytest.raises(TimeoutError, match="'a' was not free"), locks("a", timeout=0.01):
        pass  # never reached


def test_a_lock_is_given_back_when_its_block_fails() -> None:
    locks = ProcessLocks()
    with pytest.raises(LookupError), locks("a", timeout=1):
        raise LookupError
    with locks("a", timeout=0.01):
        assert logging.getLogger("crewai").name == "crewai"


def test_no_task_s_output_is_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("__init__", "update", "add", "reset", "load"):
        monkeypatch.setattr(TaskOutputStorageHandler, name, getattr(TaskOutputStorageHandler, name))
    keep_no_task_outputs()
    handler = TaskOutputStorageHandler()
    handler.reset()
    handler.update(0, {"output": "a secret"})
    assert handler.load() is None
    assert not hasattr(handler, "storage")
