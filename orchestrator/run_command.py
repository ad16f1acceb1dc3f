"""What ``tiergate-orchestrator run`` does once its arguments are understood."""

import asyncio
import json
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Literal, TextIO

from orchestrator.client import close_async_clients
from orchestrator.errors import RunFailed
from orchestrator.flow import RunResult, load_flow, run_flow
from orchestrator.interrupt import interrupted_in_earnest
from orchestrator.progress import ProgressLines
from orchestrator.quiet import silence_console, use_process_locks
from orchestrator.settings import Settings, bind
from orchestrator.warming.announced import announced

STEP_THREADS_MAX = 64
"""Threads of the loop that runs Flows. CrewAI makes each LLM call in one; Python's default would be the
number of processors plus four, a limit on parallel steps that nobody chose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCommand:
    """One Flow, to be run once. ``run`` is the run's name, a fresh one where it is ``None``."""

    target: str
    inputs: Mapping[str, object]
    run: str | None
    output: Literal["text", "json"]
    debug: bool
    settings: Settings

    def execute(self, stdout: TextIO, stderr: TextIO) -> bool:
        """Run the Flow: progress to ``stderr``, the report to ``stdout``. Whether it ended well.

        Raises ``FlowUnusable`` or ``InputsRefused`` where nothing could be started.
        """
        use_process_locks()
        if not self.debug:
            silence_console()

        def say(line: str) -> None:
            print(line, file=stderr, flush=True)

        try:
            # A Flow's own prints must not end up inside the report.
            with bind(self.settings), announced(self.settings, say=say), redirect_stdout(stderr):
                result = self._run_to_end(ProgressLines(say))
        except RunFailed as failure:
            if self.debug:
                traceback.print_exception(failure, file=stderr)
            if self.output == "json":
                print(_json(failure_document(failure)), file=stdout, flush=True)
            print(f"tiergate-orchestrator: {failure}", file=stderr, flush=True)
            return False
        report = _json(result_document(result)) if self.output == "json" else _text(result.output)
        print(report, file=stdout, flush=True)
        return True

    def _run_to_end(self, progress: ProgressLines) -> RunResult:
        runner = asyncio.Runner()
        interrupted = False
        try:
            return runner.run(self._run(progress))
        except KeyboardInterrupt:
            interrupted = True
            raise
        finally:
            # Closing waits for the threads of unfinished LLM calls; who interrupts wants them dropped instead.
            if not interrupted:
                runner.close()

    async def _run(self, progress: ProgressLines) -> RunResult:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(STEP_THREADS_MAX, thread_name_prefix="step"))
        with interrupted_in_earnest():
            try:
                return await run_flow(load_flow(self.target), self.inputs, run=self.run, progress=progress)
            finally:
                await close_async_clients()


def result_document(result: RunResult) -> dict[str, object]:
    """What ``--output json`` prints for a run that ended well."""
    return {
        "run": result.run,
        "flow": result.flow,
        "status": "ok",
        "output": result.output,
        "state": result.state,
        "seconds": round(result.seconds, 3),
    }


def failure_document(failure: RunFailed) -> dict[str, object]:
    """What ``--output json`` prints for a run that failed: the same, with the cause's line as ``error``."""
    return {
        "run": failure.run,
        "flow": failure.flow,
        "status": "failed",
        "output": None,
        "state": failure.state,
        "seconds": round(failure.seconds, 3),
        "error": str(failure),
    }


def _text(output: object) -> str:
    return output if isinstance(output, str) else _json(output)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
