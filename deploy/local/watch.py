"""What happens behind the endpoints while a Flow runs: workers that start, and the Flow's own progress.

A cold start is most of what a newcomer waits for, so it is told; a worker that dies would otherwise show only as a
request that takes long.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from deploy.errors import ProcessDied
from deploy.local.emulator import Emulator, EmulatorState, WorkerState
from deploy.local.processes import log_tail

_POLL_SECONDS = 0.2
_WORDS = {
    "initializing": "a worker starts cold: its image is pulled",
    "running": "its worker loads; it is billed from here on",
    "serving": "its worker serves",
    "idle": "its worker has gone to sleep",
    "throttled": "no GPU is free",
}


class Watch:
    """Looks at the emulator until it is cancelled, and says what is new."""

    def __init__(self, emulator: Emulator, *, logs: Path, say: Callable[[str], None], flow: str, run: str) -> None:
        """Watch over one run.

        Args:
            emulator: Where.
            logs: Where the workers' logs are.
            say: Gets each line.
            flow: The name of the endpoint that hosts the Flow.
            run: The run's name, by which its lines are known in the worker's log.
        """
        self._emulator = emulator
        self._logs = logs
        self._say = say
        self._flow = flow
        self._prefix = f"run {run}: "
        self._states: dict[str, str] = {}
        self._read: dict[str, int] = {}

    async def watch(self) -> None:
        """Say what is new, again and again.

        Raises:
            ProcessDied: A worker's program has ended by itself; with the last lines of its log.
        """
        while True:
            await self.look()
            await asyncio.sleep(_POLL_SECONDS)

    async def look(self) -> None:
        """Say what is new since the last time. Raises as ``watch`` does."""
        state = await self._emulator.state()
        self._say_states(state)
        for endpoint in state.endpoints:
            for worker in endpoint.workers if endpoint.name == self._flow else ():
                self._say_progress(worker)

    def _say_states(self, state: EmulatorState) -> None:
        for endpoint in state.endpoints:
            for worker in endpoint.workers:
                now = "serving" if worker.serving else worker.state
                if self._states.get(worker.id) == now:
                    continue
                self._states[worker.id] = now
                if now == "unhealthy":
                    log = self._log(worker)
                    raise ProcessDied(
                        f"the worker of {endpoint.name} ended by itself",
                        remedy=f"its log {log} says why; mend that and start again",
                        log_tail=log_tail(log),
                    )
                self._say(f"{endpoint.name}: {_WORDS.get(now, f'its worker is {now}')}")

    def _say_progress(self, worker: WorkerState) -> None:
        """Say the run's new lines in the worker's log, as far as they are whole."""
        try:
            with self._log(worker).open("rb") as log:
                log.seek(self._read.get(worker.id, 0))
                whole, newline, _ = log.read().rpartition(b"\n")
        except FileNotFoundError:
            return
        self._read[worker.id] = self._read.get(worker.id, 0) + len(whole) + len(newline)
        for line in whole.decode(errors="replace").splitlines():
            if line.startswith(self._prefix):
                self._say(f"flow: {line.removeprefix(self._prefix)}")

    def _log(self, worker: WorkerState) -> Path:
        return self._logs / f"worker-{worker.id}.log"
