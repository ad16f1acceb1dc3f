"""CrewAI's own output, silenced: stdout belongs to the Flow's report, stderr to our progress lines.

To be called after CrewAI is imported; what it must find before that is ``settings.prepare_crewai``.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from threading import Lock

from crewai.events import event_context
from crewai.events.event_bus import crewai_event_bus
from crewai.events.event_listener import event_listener
from crewai.events.listeners.tracing.utils import set_suppress_tracing_messages
from crewai.utilities.task_output_storage_handler import TaskOutputStorageHandler
from crewai_core.lock_store import set_lock_backend
from crewai_core.printer import set_suppress_console_output
from rich.console import Console


def silence_console() -> None:
    """Stop CrewAI's panels, prints, questions and log lines, in this context and those that come from it.

    What a Flow itself prints or logs is not touched. Failures are not lost: they are raised.
    """
    quiet = Console(quiet=True)
    event_listener.formatter.console = quiet
    event_context._console.console = quiet  # noqa: SLF001 - no public way to its warnings' console
    crewai_event_bus._console.console = quiet  # noqa: SLF001 - as above
    set_suppress_console_output(True)
    set_suppress_tracing_messages(True)
    logging.getLogger("crewai").setLevel(logging.CRITICAL)
    logging.getLogger().addFilter(_not_from_crewai)


def drop_listeners() -> None:
    """Unsubscribe CrewAI's own listeners, its console and its tracing, from its event bus, for the whole process.

    For each event of each run they would be handed to ten threads that all runs share, to write what nobody sees. What
    Flows and others subscribed stays, and so do stream sinks. To be called after a first run, which subscribes them.
    """
    for subscribed in (crewai_event_bus._sync_handlers, crewai_event_bus._async_handlers):  # noqa: SLF001 - no public list
        for event_type, handlers in list(subscribed.items()):
            for handler in handlers:
                if handler.__module__.startswith("crewai.events."):
                    crewai_event_bus.off(event_type, handler)


def keep_no_task_outputs() -> None:
    """Have CrewAI keep no task's inputs and output, for the whole process.

    It writes those of every crew into one SQLite file in the home folder, for a command of its own that runs crews
    again. Each crew's start empties the file and each task reads all of it, with a lock held: two hundred runs at once
    wait for it most of their time, and find each other's texts there.
    """
    for name in ("__init__", "update", "add", "reset", "load"):
        setattr(TaskOutputStorageHandler, name, _nothing)


def use_process_locks() -> None:
    """Let CrewAI lock within this process.

    Where the environment has a REDIS_URL, meant for something else, CrewAI would take locks in that Redis
    around a file on this machine: each crew's start would wait for it, and fail with it.
    """
    set_lock_backend(ProcessLocks())


class ProcessLocks:
    """Named locks that hold within this process; the form that CrewAI's lock store asks for."""

    def __init__(self) -> None:
        self._locks: defaultdict[str, Lock] = defaultdict(Lock)
        self._guard = Lock()

    @contextmanager
    def __call__(self, name: str, *, timeout: float) -> Iterator[None]:
        """Hold the lock ``name``. Raises ``TimeoutError`` where it is not free within ``timeout`` seconds."""
        with self._guard:
            lock = self._locks[name]
        if not lock.acquire(timeout=timeout):
            raise TimeoutError(f"the lock {name!r} was not free within {timeout} s")
        try:
            yield
        finally:
            lock.release()


def _nothing(*_: object, **__: object) -> None:
    """What CrewAI's storage of task outputs does."""


def _not_from_crewai(record: logging.LogRecord) -> bool:
    """Whether a root logger's record is somebody else's: CrewAI logs failures there before it raises them."""
    return "crewai" not in PurePath(record.pathname).parts
