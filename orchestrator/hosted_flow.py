"""A Flow that many runs share: each gets a fresh Flow, a thread and an event loop of its own.

A Flow's steps may block: what they block is their own run, never the loop that answers the balancer.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from uuid import uuid4

from orchestrator.client import close_async_clients
from orchestrator.errors import RunFailed
from orchestrator.flow import FlowClass, load_flow, run_flow
from orchestrator.progress import ProgressLines
from orchestrator.quiet import silence_console, use_process_locks
from orchestrator.run_command import STEP_THREADS_MAX, failure_document, result_document
from orchestrator.settings import Settings, bind


class LoadedFlow:
    """A Flow's class with what its runs need; ``write`` gets each run's progress, line by line."""

    def __init__(self, flow_class: FlowClass, *, settings: Settings, write: Callable[[str], object]) -> None:
        self.name = flow_class.__name__
        self._class = flow_class
        self._settings = settings
        self._write = write

    @classmethod
    def load(cls, target: str, *, settings: Settings, write: Callable[[str], object]) -> "LoadedFlow":
        """The Flow that ``target`` names.

        Raises:
            FlowUnusable: It names none that runs.
        """
        use_process_locks()
        return cls(load_flow(target), settings=settings, write=write)

    def prepare(self, inputs: Mapping[str, object], run: str | None) -> "FlowRun":
        """A run with these inputs; ``run`` is its name, a fresh UUID where it is ``None``."""
        return FlowRun(self._class, inputs, run or str(uuid4()), settings=self._settings, write=self._write)


class FlowRun:
    """One run."""

    def __init__(
        self,
        flow_class: FlowClass,
        inputs: Mapping[str, object],
        run: str,
        *,
        settings: Settings,
        write: Callable[[str], object],
    ) -> None:
        self._class = flow_class
        self._inputs = inputs
        self._run = run
        self._settings = settings
        self._write = write
        self._guard = Lock()
        self._cancelled = False
        self._task: asyncio.Task[dict[str, object]] | None = None

    def work(self) -> dict[str, object]:
        """Run to the end, in this thread: the document that ``--output json`` prints, also of a run that failed.

        Raises:
            InputsRefused: The Flow's state does not take the inputs; nothing was started.
            FlowUnusable: The Flow cannot be made.
        """
        silence_console()
        with bind(self._settings), asyncio.Runner() as runner:
            return runner.run(self._cancellable())

    def cancel(self) -> None:
        """End the run; from any thread. LLM calls that are open in threads go on to their end."""
        with self._guard:
            self._cancelled = True
            if self._task is not None and not self._task.done():
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    async def _cancellable(self) -> dict[str, object]:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(STEP_THREADS_MAX, thread_name_prefix="step"))
        with self._guard:
            if self._cancelled:
                raise asyncio.CancelledError
            self._task = loop.create_task(self._document())
        try:
            return await self._task
        finally:
            with self._guard:
                self._task = None

    async def _document(self) -> dict[str, object]:
        progress = ProgressLines(lambda line: self._write(f"run {self._run}: {line}"))
        try:
            return result_document(await run_flow(self._class, self._inputs, run=self._run, progress=progress))
        except RunFailed as failure:
            self._write(f"run {self._run}: {failure}")
            return failure_document(failure)
        finally:
            await close_async_clients()
