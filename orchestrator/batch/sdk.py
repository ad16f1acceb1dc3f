"""Runpod's SDK for queue workers: all that knows it. It is an extra of its own, and imported only here.

What is done about it: it says every job's whole input and output unless its log level is raised; up to 1.10 it keeps
the names of jobs in a file of the working directory, and never takes a job again where it finds a dead worker's; its
checks end a worker that has less than 4 GB of memory left or cannot reach a name server of Google's.
"""

import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import chdir
from typing import Any, Self

from pydantic import JsonValue

from orchestrator.errors import OrchestratorError

LOG_LEVEL = "WARN"
"""Unless RUNPOD_LOG_LEVEL or RUNPOD_DEBUG_LEVEL says otherwise."""

Handler = Callable[[Mapping[str, Any]], Awaitable[dict[str, JsonValue]]]


class SdkMissing(OrchestratorError):
    """Runpod's SDK is not installed."""


class Sdk:
    """The SDK, loaded; use it as a context manager, so that its files go with it."""

    def __init__(self) -> None:
        """Load it. Raises ``SdkMissing``."""
        for name, value in (("RUNPOD_DEBUG_LEVEL", LOG_LEVEL), ("RUNPOD_SKIP_AUTO_SYSTEM_CHECKS", "true")):
            os.environ.setdefault(name, value)
        self._folder = tempfile.TemporaryDirectory(prefix="tiergate-runpod-")
        try:
            # Where it is imported, it looks for the jobs of a worker before it.
            with chdir(self._folder.name):
                from runpod import serverless  # noqa: PLC0415 - an extra, and slow to import
        except ImportError as error:
            self._folder.cleanup()
            raise SdkMissing("Runpod's SDK is not installed: pip install 'tiergate[batch]'.") from error
        self._serverless = serverless

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what it kept."""
        self._folder.cleanup()

    def progress(self, job: Mapping[str, Any], told: dict[str, JsonValue]) -> None:
        """Show a job's progress; nothing where it runs alone, for a try."""
        if "RUNPOD_WEBHOOK_POST_OUTPUT" in os.environ:
            self._serverless.progress_update(job, told)

    def start(self, handler: Handler, *, places: Callable[[int], int], arguments: Sequence[str]) -> None:
        """Take jobs until SIGTERM, and end those under way; or do what the SDK's own ``arguments`` ask for.

        The SDK looks at what ``handler`` is, so it gets a plain coroutine function.
        """

        async def handle(job: Mapping[str, Any]) -> dict[str, JsonValue]:
            return await handler(job)

        sys.argv = [sys.argv[0], *arguments]
        self._serverless.start({"handler": handle, "concurrency_modifier": places, "refresh_worker": False})
